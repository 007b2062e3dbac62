//! Draws [exchanges](crate::exchange) at random, plays them, and shrinks one that goes wrong.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use crate::exchange::{CLIENTS, Exchange, Family, Line, Move};
use lab::compare;
use lab::play::{self, Options};
use lab::programs::Binaries;
use lab::scene::{self, Parting, Scene};
use lab::signals;
use lab::stage::{Privacy, Stage};
use lab::trace::{self, Trace, is_call};

/// How many moves an exchange has at most.
const MOVES: usize = 14;

/// How many smaller exchanges are tried in search of the smallest that goes wrong.
const SHRINKS: u32 = 200;

/// How long a step may take: an exchange that goes wrong is played again and again, in parts.
const LIMIT: Duration = Duration::from_secs(5);

/// What the exchanges are played with.
pub struct Players<'a> {
    pub privacy: Privacy,
    pub ports: &'a Binaries,
    /// The C programs, to compare with. Then only exchanges are drawn for which C's behaviour is
    /// defined, and the same in the fixed port.
    pub c: Option<&'a Binaries>,
}

/// What was played.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Played {
    pub exchanges: usize,
    /// The steps of their scenes.
    pub steps: usize,
    /// The calls that C and port were seen to make alike.
    pub calls: usize,
}

/// Draws `count` exchanges of a family from `seed` and plays each; `progress` hears of each.
///
/// # Errors
///
/// If one goes otherwise than it should, or otherwise than with the C programs: the smallest such
/// exchange that was found, as a scene, and how it went.
pub fn run(family: Family, count: u32, seed: u64, players: &Players, progress: impl FnMut(Played)) -> Result<Played> {
    draw(family, count, seed, players, progress)
}

fn draw(family: Family, count: u32, seed: u64, company: &impl Company, mut progress: impl FnMut(Played)) -> Result<Played> {
    let played = Cell::new(Played::default());
    let progress = RefCell::new(&mut progress);
    let config = Config { cases: count, max_shrink_iters: SHRINKS, failure_persistence: None, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let outcome = runner.run(&exchanges(family, company.compares()), |exchange| {
        let one = try_one(&exchange, company).map_err(|error| TestCaseError::fail(format!("{error:#}")))?;
        let so_far = played.get();
        played.set(Played { exchanges: so_far.exchanges + 1, steps: so_far.steps + one.steps, calls: so_far.calls + one.calls });
        progress.borrow_mut()(played.get());
        Ok(())
    });
    match outcome {
        Ok(()) => Ok(played.get()),
        Err(TestError::Fail(reason, exchange)) => {
            bail!("{reason}\nThe smallest exchange found that goes wrong (seed {seed}); in a file, `cargo lab replay FILE` plays it:\n\n{}", exchange.scene("random"))
        }
        Err(TestError::Abort(reason)) => bail!("no exchange can be drawn: {reason}"),
    }
}

/// Who plays a scene.
trait Company {
    /// Whether there are C programs.
    fn compares(&self) -> bool;

    /// Plays it with the ports.
    fn play(&self, scene: &Scene) -> Result<()>;

    /// Plays it with the C programs and with the ports; the traces of each.
    fn trace(&self, scene: &Scene) -> Result<[Vec<Trace>; 2]>;
}

impl Players<'_> {
    fn options() -> Options {
        Options { limit: LIMIT, ..Options::default() }
    }
}

impl Company for Players<'_> {
    fn compares(&self) -> bool {
        self.c.is_some()
    }

    fn play(&self, scene: &Scene) -> Result<()> {
        let _stage = Stage::set(self.privacy, &scene::only(self.ports, scene), &Binaries::new())?;
        play::play(scene, &Players::options(), &mut ()).map(drop)
    }

    fn trace(&self, scene: &Scene) -> Result<[Vec<Trace>; 2]> {
        let all_c = Options { c: scene.steps.iter().map(|step| step.actor.clone()).collect(), ..Players::options() };
        let c = self.c.context("there are no C programs to compare with")?;
        let in_c = trace::run(scene, self.privacy, &Binaries::new(), &scene::only(c, scene), &all_c).context("with the C programs")?;
        let here = trace::run(scene, self.privacy, &scene::only(self.ports, scene), &Binaries::new(), &Players::options()).context("with the ports")?;
        Ok([in_c, here])
    }
}

/// Plays an exchange with the ports and, if there are any, with the C programs.
///
/// # Errors
///
/// As [`run`].
fn try_one(exchange: &Exchange, company: &impl Company) -> Result<Played> {
    signals::check()?;
    let text = exchange.scene("random");
    let scene = scene::parse("random", Path::new("random"), &text)?.pop().context("an exchange is a scene")?;
    let mut played = Played { exchanges: 1, steps: scene.steps.len(), calls: 0 };
    if !company.compares() {
        company.play(&scene)?;
        return Ok(played);
    }
    let [in_c, here] = company.trace(&scene)?;
    let pairs = compare::pair(in_c, here);
    ensure!(!pairs.is_empty(), "no process was traced");
    for (in_c, here) in pairs {
        played.calls += compare_traces(&scene, &in_c, &here)?;
    }
    Ok(played)
}

/// Compares two whole traces; the number of calls.
fn compare_traces(scene: &Scene, in_c: &Trace, here: &Trace) -> Result<usize> {
    let mut difference = compare::judge(&in_c.lines, &here.lines, scene.parting(&in_c.who));
    if difference.is_some() && in_c.program == Family::Dgram.server() {
        // Its fix: C passes the length of the address before.
        let parting = Parting::Defined { differs: vec!["recvfrom".to_owned()], then: None };
        difference = compare::judge(&in_c.lines, &here.lines, Some(&parting));
    }
    if let Some(difference) = difference {
        bail!("{} ({}): {difference}", in_c.who, in_c.program);
    }
    let calls = here.lines.iter().filter(|line| is_call(line)).count();
    ensure!(calls > 0, "{} ({}): no calls", in_c.who, in_c.program);
    Ok(calls)
}

/// Exchanges of a family; if `defined`, those that are defined in C and the same as in the port.
fn exchanges(family: Family, defined: bool) -> impl Strategy<Value = Exchange> {
    vec(moves(family, defined), 1..MOVES).prop_map(move |moves| Exchange { family, moves: if defined { tame(family, moves) } else { moves } })
}

fn moves(family: Family, defined: bool) -> impl Strategy<Value = Move> {
    let client = || 0..CLIENTS;
    prop_oneof![
        4 => (client(), 0..family.clients().len()).prop_map(|(client, program)| Move::Start { client, program }),
        8 => (client(), lines(family, defined)).prop_map(|(client, line)| Move::Line { client, line }),
        1 => client().prop_map(|client| Move::EndOfInput { client }),
        1 => client().prop_map(|client| Move::Interrupt { client }),
        1 => client().prop_map(|client| Move::Pause { client }),
        1 => Just(Move::InterruptServer),
        1 => Just(Move::StartServer),
        1 => Just(Move::Hold),
        1 => Just(Move::Go),
    ]
}

/// In C udpconnectserver ends its first message with a NUL and no other: what stands behind a longer
/// one has no value, and a shorter one keeps a tail. So all its messages have one length here.
fn tame(family: Family, mut moves: Vec<Move>) -> Vec<Move> {
    if family == Family::Connected {
        let lines = || moves.iter().filter_map(|next| if let Move::Line { line, .. } = next { Some(line.to_string().len()) } else { None });
        let longest = lines().max().unwrap_or(0);
        for next in &mut moves {
            if let Move::Line { line, .. } = next {
                let len = line.to_string().len();
                line.0.push(('x', longest - len));
            }
        }
    }
    moves
}

/// Lines to type: words, and runs of one character of the lengths at which buffers end.
fn lines(family: Family, defined: bool) -> impl Strategy<Value = Line> {
    let longest = if defined { family.defined_len() } else { 4095 };
    let word = || vec(prop_oneof![Just('g'), Just('1'), Just(' '), Just('%'), Just('\\'), Just('é'), Just('你'), any::<u8>().prop_map(|byte| char::from(b'a' + byte % 26))], 0..12);
    let near = move |edge: usize| (0..8_usize).prop_map(move |below| (edge + 2).saturating_sub(below).min(longest));
    let run = move |len: usize| Line(vec![('x', len)]);
    let nul = if defined || family == Family::Upper { 0 } else { 1 };
    prop_oneof![
        8 => word().prop_map(|word| Line(word.into_iter().map(|c| (c, 1)).collect())),
        1 => Just(Line([('g', 1), ('o', 2), ('d', 1), ('b', 1), ('y', 1), ('e', 1)].into())),
        2 => near(longest).prop_map(run),
        1 => near(1023).prop_map(run),
        1 => (0..=longest).prop_map(run),
        nul => (word(), word()).prop_map(|(before, after)| Line(before.into_iter().chain(['\0']).chain(after).map(|c| (c, 1)).collect())),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays nothing, counts the scenes, and fails from a number of steps on.
    #[derive(Default)]
    struct Fake {
        traces: Option<[Vec<Trace>; 2]>,
        fails_from: Option<usize>,
        scenes: Cell<usize>,
        steps: Cell<usize>,
    }

    impl Fake {
        fn hear(&self, scene: &Scene) -> Result<()> {
            self.scenes.set(self.scenes.get() + 1);
            self.steps.set(self.steps.get() + scene.steps.len());
            ensure!(self.fails_from.is_none_or(|from| scene.steps.len() < from), "{} steps", scene.steps.len());
            Ok(())
        }
    }

    impl Company for Fake {
        fn compares(&self) -> bool {
            self.traces.is_some()
        }

        fn play(&self, scene: &Scene) -> Result<()> {
            assert!(!self.compares());
            self.hear(scene)
        }

        fn trace(&self, scene: &Scene) -> Result<[Vec<Trace>; 2]> {
            self.hear(scene)?;
            self.traces.clone().context("no traces")
        }
    }

    fn traced(program: &str, lines: &[&str]) -> Trace {
        Trace { who: "server".into(), program: program.into(), lines: lines.iter().map(|line| (*line).to_owned()).collect() }
    }

    fn exchange() -> Exchange {
        Exchange { family: Family::Udp, moves: vec![Move::Line { client: 0, line: Line(vec![('g', 1)]) }] }
    }

    const C: [&str; 3] = ["socket(1) = 3", "close(3) = 0", "+++ exited with 0 +++"];

    #[test]
    fn an_exchange_is_played_and_goes_wrong_if_its_scene_does() {
        let fake = Fake::default();
        let played = try_one(&exchange(), &fake).unwrap();
        assert!(played.steps > 0, "{played:?}");
        assert_eq!((fake.scenes.get(), fake.steps.get()), (1, played.steps));
        let wrong = Fake { fails_from: Some(0), ..Fake::default() };
        assert!(try_one(&exchange(), &wrong).is_err());
        let traces = Some([vec![traced("udpserver", &C)], vec![traced("udpserver", &C)]]);
        assert!(try_one(&exchange(), &Fake { fails_from: Some(0), traces, ..Fake::default() }).is_err());
    }

    #[test]
    fn an_exchange_goes_wrong_if_c_makes_other_calls() {
        let other = ["socket(2) = 3", C[1], C[2]];
        for (in_c, here, calls) in [
            (vec![traced("udpserver", &C)], vec![traced("udpserver", &C)], Some(2)),
            (vec![traced("udpserver", &C)], vec![traced("udpserver", &other)], None),
            (vec![traced("udpserver", &C)], vec![], None),
            (vec![], vec![traced("udpserver", &C)], None),
        ] {
            let what = format!("{in_c:?} and {here:?}");
            let fake = Fake { traces: Some([in_c, here]), ..Fake::default() };
            assert_eq!(try_one(&exchange(), &fake).ok().map(|played| played.calls), calls, "{what}");
            assert_eq!(fake.scenes.get(), 1);
        }
    }

    #[test]
    fn as_many_exchanges_are_played_as_were_asked_for() {
        let fake = Fake::default();
        let mut told = 0;
        let played = draw(Family::Udp, 5, 1, &fake, |_| told += 1).unwrap();
        assert_eq!((played.exchanges, fake.scenes.get(), told), (5, 5, 5));
        assert_eq!(played.steps, fake.steps.get());
    }

    #[test]
    fn what_goes_wrong_is_shown_with_its_exchange() {
        let error = draw(Family::Udp, 5, 1, &Fake { fails_from: Some(0), ..Fake::default() }, |_| ()).unwrap_err().to_string();
        assert!([" steps\n", "(seed 1)", "udpserver"].iter().all(|part| error.contains(part)), "{error}");
    }

    #[test]
    fn two_traces_are_compared_call_by_call() {
        let text = exchange().scene("random");
        let scene = scene::parse("random", Path::new("random"), &text).unwrap().pop().unwrap();
        let recvfrom = |len: usize| format!("recvfrom(3, [{len}]) = 1");
        for (program, in_c, here, calls) in [
            ("udpserver", &C as &[&str], &C as &[&str], Some(2)),
            ("udpserver", &C, &["socket(1) = 3", "close(4) = 0", C[2]], None),
            ("udpserver", &C, &[C[0], C[2]], None),
            ("udpserver", &C, &[C[0], C[1], "+++ killed by SIGINT +++"], None),
            ("udpserver", &C, &[], None),
            ("udpserver", &[], &[], None),
            ("udpserver", &[&recvfrom(16), C[2]], &[&recvfrom(110), C[2]], None),
            // It has a fix there, and there only.
            ("unixdataserver", &[&recvfrom(16), C[2]], &[&recvfrom(110), C[2]], Some(1)),
            ("unixdataserver", &C, &["socket(2) = 3", C[1], C[2]], None),
        ] {
            assert_eq!(compare_traces(&scene, &traced(program, in_c), &traced(program, here)).ok(), calls, "{program}: {in_c:?} and {here:?}");
        }
    }
}
