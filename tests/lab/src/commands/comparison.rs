//! `lab strace`, `lab check` and `lab record`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};

use lab::actor::Stdout;
use lab::args::{Args, Long, Value, nearest, text, unexpected};
use lab::cast::{Cast, Side};
use lab::compare::{self, Places, Row};
use lab::golden;
use lab::player::{Mode, Options, Watch};
use lab::programs::{self, Binaries, Builds, ORIGINALS, Profile, originals};
use lab::sandbox::Isolation;
use lab::scene::{self, Divergence, Scene, names};
use lab::sources;
use lab::strace::{self, Stacks};
use lab::trace::{self, Trace};

use super::side;

/// How long C programs may take to come to rest where a scene shows a fix.
const PATIENCE: Duration = Duration::from_secs(1);

/// Plays a scene under strace; where it shows a fix, C programs may do something else.
pub fn traces(isolation: Isolation, scene: &Scene, builds: &Builds, side: Side, options: &Options) -> Result<Vec<Trace>> {
    let mode = if side != Side::Ports && scene.diverges() { Mode::Observe(PATIENCE) } else { Mode::Enforce };
    let options = Options { watch: Watch::Strace(None), mode, ..options.clone() };
    let played = isolation.play(scene, &Cast::new(scene, builds, side), &options, &mut ())?.as_written()?;
    Ok(played.starts.into_iter().flat_map(|start| start.traces).collect())
}

pub const STRACE_HELP: &str = "\
Shows the system calls of a scene, beside those of the C programs if these are found

Usage: cargo lab strace SCENE|PROGRAM|FILE

For a PROGRAM it plays all scenes that run it.

  --originals DIR  where the built C programs are; they are found by file name, at
                   any depth (default: $LAB_ORIGINALS, or ../originals)
  --c ACTOR        let this actor run the C program, and the others the ports; may
                   be repeated
  --whole          also show the calls of the loader, malloc and stdio
  --stdout KIND    what the programs' standard output is: terminal, pipe or file
                   (default: terminal)
  --limit S        time limit for each step, in seconds (default: 10)
  --profile NAME   which build of the ports: dev or release (default: dev)
  --programs DIR   take the ports from this folder, by file name, instead of
                   building them
  --no-namespaces  use the machine's own network and /tmp
";

/// Runs `lab strace`.
pub fn strace(mut args: Args) -> Result<()> {
    let (mut name, mut originals_folder, mut c_actors, mut whole, mut profile, mut ports, mut namespaces) = (None, None, Vec::new(), false, Profile::Dev, None, true);
    let mut options = Options { stacks: Stacks::Own, ..Options::default() };
    while let Some(arg) = args.next()? {
        match arg {
            Long("originals") => originals_folder = Some(args.path("originals")?),
            Long("c") => c_actors.push(args.text("c")?),
            Long("whole") => (whole, options.stacks) = (true, Stacks::All),
            Long("stdout") => options.stdout = args.parse("stdout")?,
            Long("limit") => options.limit = Duration::from_secs(args.limit()?.into()),
            Long("profile") => profile = args.parse("profile")?,
            Long("programs") => ports = Some(args.path("programs")?),
            Long("no-namespaces") => namespaces = false,
            Value(value) if name.is_none() => name = Some(text(value)?),
            other => return Err(unexpected(other, "lab strace")),
        }
    }
    let Some(name) = name else { bail!("which scene or program? 'cargo lab list' names them") };
    strace::available()?;
    let is_file = Path::new(&name).is_file();
    let all = if is_file { scene::read_file(Path::new(&name))? } else { scene::read_all()? };
    let scenes: Vec<&Scene> = all.iter().filter(|scene| is_file || scene.name == name || scene.programs().contains(&name.as_str())).collect();
    if scenes.is_empty() {
        bail!("no scene or program is called '{name}'; {}", nearest(&name, all.iter().flat_map(|scene| scene.programs().into_iter().chain([scene.name.as_str()]))));
    }
    let actors: BTreeSet<&str> = scenes.iter().flat_map(|scene| &scene.steps).map(|step| step.actor.as_str()).collect();
    if let Some(name) = c_actors.iter().find(|name| !actors.contains(name.as_str())) {
        bail!("no actor of these scenes is called '{name}'; they are {}", actors.into_iter().collect::<Vec<_>>().join(", "));
    }
    let names = names(&scenes);
    let c = match &originals_folder {
        Some(folder) => Some(originals(folder, &names)?),
        // Without --originals, C programs are optional.
        None => programs::default_originals().and_then(|folder| originals(&folder, &names).ok()),
    };
    if !c_actors.is_empty() && c.is_none() {
        bail!("--c needs the C programs; --originals DIR says where they are");
    }
    let builds = Builds { ports: programs::find_or_build(ports.as_deref(), &names, profile)?, c };
    let lines = |trace: &Trace| if whole { trace.whole() } else { trace.own() };
    let isolation = Isolation::enter(namespaces);
    let (mut differ, mut unexpected) = (false, false);
    for scene in scenes {
        side::heading(scene);
        let wanted = |trace: &Trace| is_file || name == scene.name || trace.program == name;
        if builds.c.is_none() {
            let traces = traces(isolation, scene, &builds, Side::Ports, &options)?;
            traces.iter().filter(|trace| wanted(trace)).for_each(|trace| side::show(trace, &lines(trace)));
            continue;
        }
        let in_c = traces(isolation, scene, &builds, Side::C, &options)?;
        let here = traces(isolation, scene, &builds, if c_actors.is_empty() { Side::Ports } else { Side::Mixed(&c_actors) }, &options)?;
        for (in_c, here) in compare::pair(in_c, here).iter().filter(|(c, _)| wanted(c)) {
            let rows = compare::rows(&lines(in_c), &lines(here));
            let divergence = scene.divergence(&in_c.who);
            let judgement = compare::judge(&in_c.own(), &here.own(), divergence);
            side::compare(in_c, &rows, divergence, judgement.as_deref());
            differ |= rows.iter().any(|row| !matches!(row, Row::Same(..)));
            unexpected |= judgement.is_some();
        }
    }
    match (differ, unexpected) {
        (_, true) => bail!("the traces differ"),
        (true, false) => bail!("the traces differ, as the scenes say"),
        (false, false) => Ok(()),
    }
}

pub const CHECK_HELP: &str = "\
Compares the system calls with the recorded ones (goldens), or with the C programs

Usage: cargo lab check [SCENE ...]

  --originals DIR  compare whole traces with those of the C programs in this
                   folder; without it, compare the programs' own calls with the
                   goldens
  --c ACTOR        let this actor run the C program, and the others the ports; may
                   be repeated
  --lines          also compare the source lines of the calls, and count them; a
                   call of the program itself on a different line is an error
  --stdout KIND    what the programs' standard output is: terminal, pipe or file
                   (default: terminal); some scenes have a golden of a pipe
  --profile NAME   which build of the ports: dev or release (default: release; dev
                   with --lines)
  --programs DIR   take the ports from this folder, by file name, instead of
                   building them; may be repeated
";

/// Runs `lab check`.
pub fn check(mut args: Args) -> Result<()> {
    let (mut wanted, mut originals_folder, mut c_actors, mut profile, mut folders, mut lines) = (Vec::new(), None, Vec::new(), None, Vec::<PathBuf>::new(), false);
    let mut options = Options::default();
    while let Some(arg) = args.next()? {
        match arg {
            Long("originals") => originals_folder = Some(args.path("originals")?),
            Long("c") => c_actors.push(args.text("c")?),
            Long("stdout") => options.stdout = args.parse("stdout")?,
            Long("profile") => profile = Some(args.parse("profile")?),
            Long("lines") => lines = true,
            Long("programs") => folders.push(args.path("programs")?),
            Value(name) => wanted.push(text(name)?),
            other => return Err(unexpected(other, "lab check")),
        }
    }
    strace::available()?;
    let all = scene::select(&wanted)?;
    // A scene that runs none of our programs has nothing to compare.
    let mut scenes: Vec<&Scene> = all.iter().filter(|scene| !scene.programs().is_empty()).collect();
    if originals_folder.is_none() {
        let (recorded, others): (Vec<&Scene>, Vec<&Scene>) = scenes.into_iter().partition(|scene| golden::is_wanted(&scene.name, options.stdout));
        if let Some(scene) = others.first().filter(|_| !wanted.is_empty()) {
            bail!("scene {} has no golden of a pipe; --originals DIR compares with the C programs instead", scene.name);
        }
        scenes = recorded;
    }
    // First, since the build may take long.
    let c = originals_folder.map(|folder| with_originals(&mut scenes, &folder)).transpose()?;
    let names = names(&scenes);
    let ports: Vec<Binaries> = match folders.as_slice() {
        [] => vec![programs::build(&names, profile.unwrap_or(if lines { Profile::Dev } else { Profile::Release }))?],
        folders => folders.iter().map(|folder| programs::search(folder, &names)).collect::<Result<_>>()?,
    };
    let builds: Vec<Builds> = ports.into_iter().map(|ports| Builds { ports, c: c.clone() }).collect();
    let isolation = Isolation::enter(true);
    let (mut processes, mut calls, mut wrong, mut total) = (0, 0, Vec::new(), Places::default());
    if lines || c.is_none() {
        options.stacks = Stacks::Own;
    }
    for scene in &scenes {
        let in_c = match &c {
            Some(_) => traces(isolation, scene, &builds[0], Side::C, &options)?,
            None => golden::read(&golden::path(&scene.name, options.stdout))?,
        };
        for builds in &builds {
            let side = if c_actors.is_empty() { Side::Ports } else { Side::Mixed(&c_actors) };
            for (in_c, here) in compare::pair(in_c.clone(), traces(isolation, scene, builds, side, &options)?) {
                // For undefined behaviour the golden is empty, unless the calls were the same after all.
                let recorded = c.is_none() && !in_c.lines.is_empty();
                let divergence = scene.divergence(&in_c.who).filter(|divergence| !(recorded && **divergence == Divergence::Undefined));
                let (in_c_lines, here_lines) = match (&c, divergence) {
                    (Some(_), None) if !lines => (in_c.whole(), here.whole()),
                    (Some(_), _) => (in_c.own(), here.own()),
                    (None, _) => (in_c.lines.clone(), here.own()),
                };
                processes += 1;
                calls += here_lines.iter().filter(|line| trace::is_call(line)).count();
                let why = compare::judge(&in_c_lines, &here_lines, divergence);
                let mut rows = compare::rows(&in_c_lines, &here_lines);
                if scene.divergence(&in_c.who).is_some() {
                    // After a difference the lines need not be the same.
                    rows.truncate(rows.iter().position(|row| matches!(row, Row::Differ(..))).unwrap_or(rows.len()));
                }
                let places = compare::places(&in_c.program, &rows).unwrap_or_default();
                (total.same, total.late) = (total.same + places.same, total.late + places.late);
                total.elsewhere.extend(places.elsewhere.iter().cloned());
                let more = places.elsewhere.len().saturating_sub(1);
                let moved = places.elsewhere.into_iter().next().map(|first| if more == 0 { first } else { format!("{first}; and {more} more") });
                wrong.extend(why.into_iter().chain(moved).map(|why| format!("{}: {} ({}): {why}", scene.at(&scene.steps[0]), in_c.who, in_c.program)));
            }
        }
    }
    if lines {
        let compared = total.same + total.late + total.elsewhere.len();
        if compared == 0 {
            bail!("no call has a source line: {}", sources::unavailable().unwrap_or("build the C programs with -g, and use dev builds of the ports"));
        }
        lab::print(&format!("{compared} calls with lines: {} on the same line as in C, {} one line late, {} elsewhere\n", total.same, total.late, total.elsewhere.len()));
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n     "));
    }
    let with = if c.is_some() { "the C programs" } else { "the goldens" };
    lab::print(&format!("{} scenes, {processes} processes, {calls} calls: the same as in {with}, except where a scene names a difference\n", scenes.len()));
    Ok(())
}

pub const RECORD_HELP: &str = "\
Writes the goldens: what the C programs call in each scene

Usage: cargo lab record --originals DIR [SCENE ...]

  --originals DIR  where the C programs are, built with gcc -g; they are found by
                   file name, at any depth
";

/// Runs `lab record`.
pub fn record(mut args: Args) -> Result<()> {
    let (mut wanted, mut folder) = (Vec::new(), None);
    while let Some(arg) = args.next()? {
        match arg {
            Long("originals") => folder = Some(args.path("originals")?),
            Value(name) => wanted.push(text(name)?),
            other => return Err(unexpected(other, "lab record")),
        }
    }
    let Some(folder) = folder else { bail!("record needs --originals DIR, the folder of the built C programs") };
    strace::available()?;
    let all = scene::select(&wanted)?;
    let mut scenes: Vec<&Scene> = all.iter().filter(|scene| !scene.programs().is_empty()).collect();
    let c = with_originals(&mut scenes, &folder)?;
    if let Some(why) = sources::unavailable() {
        bail!("{why}; a golden has the line of each call");
    }
    let stripped: Vec<&str> = c.iter().filter(|(_, path)| !sources::has_table(path)).map(|(name, _)| name.as_str()).collect();
    if !stripped.is_empty() {
        bail!("a golden has the line of each call: build these C programs with -g: {}", stripped.join(", "));
    }
    let builds = Builds { ports: programs::build(&names(&scenes), Profile::Release)?, c: Some(c) };
    let isolation = Isolation::enter(true);
    for scene in scenes {
        for stdout in [Stdout::Terminal, Stdout::Pipe].into_iter().filter(|kind| golden::is_wanted(&scene.name, *kind)) {
            let options = Options { stdout, stacks: Stacks::Own, ..Options::default() };
            let in_c = traces(isolation, scene, &builds, Side::C, &options)?;
            // C is not recorded after the first divergence: it may loop for ever.
            let here = if scene.diverges() { traces(isolation, scene, &builds, Side::Ports, &options)? } else { Vec::new() };
            let own = |trace: &Trace| {
                let here = here.iter().find(|here| here.who == trace.who).map(Trace::own).unwrap_or_default();
                Trace { lines: compare::up_to_divergence(trace.own(), &here, scene.divergence(&trace.who)), ..trace.clone() }
            };
            golden::write(&golden::path(&scene.name, stdout), &golden::text(&in_c.iter().map(own).collect::<Vec<_>>()))?;
        }
        lab::print(&format!("{}\n", scene.name));
    }
    Ok(())
}

/// The C programs in this folder. Removes the scenes whose C programs are missing, and says so; an error if none is left.
fn with_originals(scenes: &mut Vec<&Scene>, folder: &Path) -> Result<Binaries> {
    let all = names(scenes);
    let c = programs::look_for(folder, &all)?;
    let before = scenes.len();
    scenes.retain(|scene| programs::missing(&c, &scene.programs()).is_none());
    if let Some(missing) = programs::missing(&c, &all) {
        let why = format!("no executable called {missing} under {}", folder.display());
        if scenes.is_empty() {
            bail!("{why}; {ORIGINALS}");
        }
        anstream::eprintln!("{} scenes left out: {why}", before - scenes.len());
    }
    Ok(c)
}
