//! `lab completions`: what a shell needs to complete commands, names and options after `lab` and `cargo lab`.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use lab::programs::PROGRAMS;
use lab::scene;

const BASH: &str = r#"_lab() {
    if [ "$COMP_CWORD" = "$1" ]; then set -- '@FIRST@'; else set -- '@REST@'; fi
    COMPREPLY=($(compgen -W "$1" -- "${COMP_WORDS[COMP_CWORD]}"))
}
_lab_alone() { _lab 1; }
_lab_of_cargo() {
    if [ "${COMP_WORDS[1]}" = lab ] && [ "$COMP_CWORD" -gt 1 ]; then _lab 2
    elif declare -F _cargo >/dev/null; then _cargo "$@"; fi
}
complete -o default -F _lab_alone lab
complete -o default -F _lab_of_cargo cargo
"#;

const ZSH: &str = r#"_lab() {
    if [[ $CURRENT == $1 ]]; then compadd -- @FIRST@; else compadd -- @REST@; _files; fi
}
_lab_alone() { _lab 2; }
_lab_of_cargo() {
    if [[ $words[2] == lab && $CURRENT -gt 2 ]]; then _lab 3; elif (( $+functions[_cargo] )); then _cargo "$@"; fi
}
compdef _lab_alone lab
compdef _lab_of_cargo cargo
"#;

const FISH: &str = r#"function __lab_first
    set -l words (commandline -opc)
    test $words[-1] = lab -o (basename $words[-1]) = lab
end
for of in 'lab:true' 'cargo:__fish_seen_subcommand_from lab'
    set -l part (string split -m 1 : $of)
    complete -c $part[1] -n "$part[2]; and __lab_first" -f -a '@FIRST@'
    complete -c $part[1] -n "$part[2]; and not __lab_first" -a '@REST@'
end
"#;

/// The script for a shell; `helps` are the helps of all commands, the first of which lists the commands.
pub fn script(shell: &str, helps: &[&str]) -> Result<String> {
    let script = match shell {
        "bash" => BASH,
        "zsh" => ZSH,
        "fish" => FISH,
        _ => bail!("usage: cargo lab completions bash|zsh|fish"),
    };
    let entries = |help: &str| help.lines().filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next().map(str::to_owned)).collect::<BTreeSet<_>>();
    let scenes = scene::read_all()?;
    let names = scenes.iter().map(|scene| scene.name.clone()).chain(PROGRAMS.map(|program| program.name.to_owned()));
    let options = helps[1..].iter().flat_map(|help| entries(help)).filter(|word| word.starts_with("--"));
    let join = |words: BTreeSet<String>| words.into_iter().collect::<Vec<_>>().join(" ");
    Ok(script.replace("@FIRST@", &join(entries(helps[0]))).replace("@REST@", &join(names.chain(options).collect())))
}
