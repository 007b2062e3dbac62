//! A program at its own terminal, and what can be seen of it from outside.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::libc;
use nix::pty::openpty;
use nix::sys::signal::{self, SigHandler, Signal, killpg};
use nix::sys::termios::{LocalFlags, OutputFlags, SetArg, tcgetattr, tcsetattr};
use nix::unistd::{Gid, Pid, Uid, User, setgid, setgroups, setsid, setuid};

use crate::args::one_of;
use crate::proc;
use crate::scene::{self, CALLS, Redirection, expand, notation};

/// How many times a look at a program reads from its terminal.
const LOOK: usize = 256;

/// How long the kernel may take to end a process that was killed.
const DEATH_LIMIT: Duration = Duration::from_secs(5);

/// What kind of file the programs' standard output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdout {
    Terminal,
    Pipe,
    File,
}

impl FromStr for Stdout {
    type Err = String;

    fn from_str(text: &str) -> Result<Stdout, String> {
        one_of(text, &[("terminal", Stdout::Terminal), ("pipe", Stdout::Pipe), ("file", Stdout::File)])
    }
}

/// A running program, its terminal, and what it has written there.
pub struct Actor {
    pub name: String,
    child: Child,
    master: File,
    /// What the terminal shows below the last line taken from it.
    pub screen: Vec<u8>,
    /// Whether everything that has the terminal open is gone.
    closed: bool,
    /// Whether the terminal's last line shows a Ctrl-C; the program's next newline ends that line.
    pub interrupted: bool,
    /// Whether it was at rest when the first Ctrl-C was typed; `None` if none was.
    pub interrupted_at_rest: Option<bool>,
    suspended: bool,
    end: Option<ExitStatus>,
    /// Whether what it writes is in the notation of scenes, as with `lab sock`.
    pub in_notation: bool,
}

impl Actor {
    /// Starts `process` at a new terminal, as the user and with the redirections of `command`; another user
    /// only if we are root.
    ///
    /// The terminal does not echo (the scene itself says what is typed), and passes output on
    /// unchanged. Its Ctrl-C and Ctrl-D work. Standard output is the terminal or what `stdout` says,
    /// if the redirections do not say otherwise.
    pub fn start(name: &str, mut process: Command, command: &scene::Command, stdout: Stdout) -> Result<Actor> {
        let pty = openpty(None, None).context("cannot open a pseudo-terminal")?;
        // Copies, which an exec closes.
        let (master, slave) = (pty.master.try_clone()?, pty.slave.try_clone()?);
        let mut settings = tcgetattr(&slave)?;
        // Ctrl-C would otherwise throw away output that we have not read yet.
        settings.local_flags.insert(LocalFlags::NOFLSH);
        settings.local_flags.remove(LocalFlags::ECHO);
        settings.output_flags.remove(OutputFlags::OPOST);
        tcsetattr(&slave, SetArg::TCSANOW, &settings)?;
        drop(pty);
        set_nonblocking(&master)?;

        let user = match &command.user {
            Some(user) if Uid::current().is_root() => Some(User::from_name(user)?.with_context(|| format!("no user called {user}"))?),
            _ => None,
        };
        process.stdin(slave.try_clone()?).stderr(slave.try_clone()?);
        match stdout {
            Stdout::Terminal => process.stdout(slave.try_clone()?),
            Stdout::Pipe => process.stdout(Stdio::piped()),
            Stdout::File => process.stdout(File::options().append(true).create(true).open(format!("{name}.stdout"))?),
        };
        let mut closed = Vec::new();
        for redirection in &command.redirections {
            match redirection {
                Redirection::Close(number) => closed.push(*number),
                Redirection::From(path) | Redirection::To(path) if fs::metadata(path).is_ok_and(|data| data.file_type().is_fifo()) => {
                    bail!("{} is a FIFO, and opening it waits for the other end; use a file", path.display());
                }
                Redirection::From(path) => drop(process.stdin(file(path, File::open(path))?)),
                // This is the terminal of whoever opens it, and here that is the program's.
                Redirection::To(path) if path == Path::new("/dev/tty") => drop(process.stdout(slave.try_clone()?)),
                Redirection::To(path) => drop(process.stdout(file(path, File::create(path))?)),
            }
        }
        // SAFETY: the closure makes system calls only, on values made before the fork; whoever has a
        // descriptor that it closes is gone with the exec.
        unsafe {
            process.pre_exec(move || {
                become_terminal_user(user.as_ref().map(|user| (user.uid, user.gid)))?;
                // Descriptors that lab has inherited would change the numbers of the program's own. glibc has had
                // this call since 2.34, Linux since 5.11; where it is missing, nothing is closed.
                libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC);
                for number in &closed {
                    Errno::result(libc::close(*number))?;
                }
                Ok(())
            });
        }
        let child = process.spawn().with_context(|| format!("cannot start {}", process.get_program().to_string_lossy()))?;
        if let Some(pipe) = &child.stdout {
            set_nonblocking(pipe)?;
        }
        Ok(Actor {
            name: name.to_owned(),
            child,
            master: master.into(),
            screen: Vec::new(),
            closed: false,
            interrupted: false,
            interrupted_at_rest: None,
            suspended: false,
            end: None,
            in_notation: command.is_in_notation(),
        })
    }

    /// The terminal's other end, to poll; `None` once the program's end is closed.
    pub fn terminal(&self) -> Option<BorrowedFd<'_>> {
        (!self.closed).then(|| self.master.as_fd())
    }

    /// Takes in what the program has written and whether it has ended.
    pub fn look(&mut self) -> Result<()> {
        if !self.closed {
            self.closed = take_in(&mut self.master, &mut self.screen).context("cannot read from the terminal")?;
        }
        if let Some(pipe) = &mut self.child.stdout {
            let mut buffer = [0; 4096];
            // Nobody compares the pipe's content with the scene; it is read so that it cannot fill.
            while matches!(pipe.read(&mut buffer), Ok(n) if n > 0) {}
        }
        if self.end.is_none() {
            self.end = self.child.try_wait()?;
        }
        Ok(())
    }

    /// How it ended, once it has and everything it wrote is in.
    pub fn end(&self) -> Option<ExitStatus> {
        self.end.filter(|_| self.closed)
    }

    /// The next line of the terminal without its newline; at the end also one that lacks it.
    ///
    /// A person sees `^C` where it was typed: the newline that a handler prints first ends that
    /// line, and is no line of its own.
    pub fn next_line(&mut self) -> Option<Vec<u8>> {
        let mut line = self.take_line()?;
        if line.is_empty() && self.interrupted {
            self.interrupted = false;
            line = self.take_line()?;
        }
        Some(if self.in_notation { expand(&String::from_utf8_lossy(&line)) } else { line })
    }

    fn take_line(&mut self) -> Option<Vec<u8>> {
        let (len, rest) = match self.screen.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at, at + 1),
            None if self.closed && !self.screen.is_empty() => (self.screen.len(), self.screen.len()),
            None => return None,
        };
        let line = self.screen[..len].to_owned();
        self.screen.drain(..rest);
        Some(line)
    }

    /// Puts a line back that [`Actor::next_line`] has given.
    pub fn put_back(&mut self, line: &[u8]) {
        let line = if self.in_notation { notation(line).into() } else { line.to_owned() };
        self.screen.splice(..0, line.into_iter().chain([b'\n']));
    }

    /// The lines of the terminal, also a last one without a newline.
    pub fn all_lines(&mut self) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut lines: Vec<String> = std::iter::from_fn(|| self.next_line()).map(|line| text(&line)).collect();
        if !self.screen.is_empty() {
            lines.push(text(&self.screen));
        }
        lines
    }

    /// Types Ctrl-C.
    pub fn interrupt(&mut self) -> Result<()> {
        self.interrupted = true;
        let at_rest = self.is_at_rest(&self.states());
        self.interrupted_at_rest.get_or_insert(at_rest);
        self.type_keys(b"\x03")
    }

    /// Stops it and what it has started, as Ctrl-Z and a shell would.
    ///
    /// The signal is SIGSTOP: without a shell in the session the kernel ignores a Ctrl-Z.
    pub fn suspend(&mut self) -> Result<()> {
        self.suspended = true;
        killpg(Pid::from_raw(self.child.id() as i32), Signal::SIGSTOP).context("cannot stop it")
    }

    /// Lets it go on.
    pub fn resume(&mut self) -> Result<()> {
        self.suspended = false;
        killpg(Pid::from_raw(self.child.id() as i32), Signal::SIGCONT).context("cannot continue it")
    }

    /// Whether all its processes, which are in these states, sleep, or are stopped as they should be.
    ///
    /// A strace that has not started its program yet sleeps, too, and is not at rest; nor is a program
    /// that has ended while what it started has not.
    pub fn is_at_rest(&self, states: &[ProcState]) -> bool {
        let rests = if self.suspended { ProcState::is_stopped } else { ProcState::is_asleep };
        states.iter().all(rests) && (self.end().is_some() || states.iter().any(|state| state.program != "strace"))
    }

    /// The number of the process that was started.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Types `keys`.
    pub fn type_keys(&mut self, keys: &[u8]) -> Result<()> {
        let mut rest = keys;
        while !rest.is_empty() {
            match self.master.write(rest) {
                Ok(n) => rest = &rest[n..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => bail!("cannot type at {}: its terminal is full, since it does not read", self.name),
                Err(error) => return Err(error).context("cannot type"),
            }
        }
        Ok(())
    }

    /// What its processes are at, itself first, then those it has started.
    pub fn states(&self) -> Vec<ProcState> {
        let mut states = Vec::new();
        if self.end.is_some() {
            // Its number may be another process's.
            return states;
        }
        let mut pids = VecDeque::from([self.child.id() as i32]);
        while let Some(pid) = pids.pop_front() {
            pids.extend(proc::children(pid));
            states.extend(ProcState::feel(pid));
        }
        states
    }
}

impl Drop for Actor {
    /// Ends it and what it has started at once, as at the end of a scene that failed, and waits until all of
    /// them are gone: the next scene may need their ports.
    fn drop(&mut self) {
        if self.end.is_some() {
            return;
        }
        let pids: Vec<i32> = self.states().iter().map(|state| state.pid).collect();
        // Errors mean that one has just ended.
        for pid in &pids {
            let _ = signal::kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        let _ = self.child.wait();
        let start = Instant::now();
        while pids.iter().any(|pid| proc::stat(*pid).is_some_and(|(_, state)| state != 'Z')) && start.elapsed() < DEATH_LIMIT {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn set_nonblocking(file: &impl AsRawFd) -> io::Result<()> {
    // SAFETY: the kernel reads the number.
    Errno::result(unsafe { libc::ioctl(file.as_raw_fd(), libc::FIONBIO, &1) })?;
    Ok(())
}

/// Takes in what there is at a terminal; tells whether nobody has its other end open any more.
///
/// Linux says EIO then. But it looks for what was written before it looks whether the other end is
/// closed, and what is written and closed in between is still to be had: only a second EIO is the end.
fn take_in(master: &mut impl Read, screen: &mut Vec<u8>) -> io::Result<bool> {
    let mut buffer = [0; 4096];
    let mut is_closed = false;
    // A limit, so that a program that writes for ever does not keep us here.
    for _ in 0..LOOK {
        match master.read(&mut buffer) {
            Ok(0) => return Ok(true),
            Ok(n) => screen.extend(&buffer[..n]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.raw_os_error() == Some(libc::EIO) && is_closed => return Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::EIO) => is_closed = true,
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// In the child: a session with the terminal (now standard error) as its own; then the user.
fn become_terminal_user(user: Option<(Uid, Gid)>) -> io::Result<()> {
    // A shell lets its background jobs ignore Ctrl-C, and our children would inherit that.
    for number in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGCHLD] {
        // SAFETY: the default needs no handler.
        unsafe { signal::signal(number, SigHandler::SigDfl)? };
    }
    setsid()?;
    // SAFETY: an ioctl without a pointer.
    Errno::result(unsafe { libc::ioctl(2, libc::TIOCSCTTY, 0) })?;
    if let Some((uid, gid)) = user {
        setgroups(&[])?;
        setgid(gid)?;
        setuid(uid)?;
    }
    Ok(())
}

/// The file of a redirection, once it is open.
fn file(path: &Path, file: io::Result<File>) -> Result<File> {
    file.with_context(|| format!("cannot open {}", path.display()))
}

/// What a process is doing: two equal states mean that it has not run in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcState {
    pub pid: i32,
    /// The name of what it runs.
    program: String,
    /// As in /proc/PID/stat: R running, S asleep, ...
    state: char,
    /// The system call that it is in, and its first argument, if it is in one and we may know.
    call: Option<(i64, u64)>,
    /// How often it has been taken off a processor.
    switches: u64,
}

impl ProcState {
    fn feel(pid: i32) -> Option<ProcState> {
        let switches = proc::switches(pid)?;
        let call = proc::blocked_in(pid);
        let (program, state) = proc::stat(pid)?;
        Some(ProcState { pid, program, state, call, switches })
    }

    /// Whether it sleeps in a system call until something happens.
    pub fn is_asleep(&self) -> bool {
        self.state == 'S'
    }

    /// Whether a signal has stopped it.
    pub fn is_stopped(&self) -> bool {
        matches!(self.state, 'T' | 't')
    }

    pub fn is_in(&self, call: &str) -> bool {
        self.call() == Some(call)
    }

    /// The system call that it sleeps in, if a scene can name that.
    pub fn call(&self) -> Option<&'static str> {
        let (call, _) = self.call.filter(|_| self.is_asleep())?;
        CALLS.iter().find(|(_, number)| *number == call).map(|(name, _)| *name)
    }

    /// Whether it waits for what is typed: reads descriptor 0.
    pub fn awaits_keys(&self) -> bool {
        self.is_in("read") && self.call.is_some_and(|(_, argument)| argument == 0)
    }

    /// "blocked in recvfrom", "running", for messages.
    pub fn describe(&self) -> String {
        match (self.state, self.call) {
            ('S', Some((number, _))) => self.call().map_or_else(|| format!("blocked in system call {number}"), |name| format!("blocked in {name}")),
            ('S', None) => "blocked".to_owned(),
            ('Z', _) => "ended".to_owned(),
            ('T' | 't', _) => "stopped".to_owned(),
            _ => "running".to_owned(),
        }
    }
}

/// An end as a scene says it: `0`, `SIGINT`.
pub fn end_name(end: ExitStatus) -> String {
    match end.signal() {
        Some(signal) => Signal::try_from(signal).map_or_else(|_| format!("signal {signal}"), |signal| signal.to_string()),
        None => end.code().map_or_else(|| end.to_string(), |code| code.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each read yields in turn: bytes, or an error by its number.
    struct Reads(VecDeque<Result<&'static str, i32>>);

    impl Read for Reads {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let text = self.0.pop_front().unwrap_or(Err(libc::EIO)).map_err(io::Error::from_raw_os_error)?;
            buffer[..text.len()].copy_from_slice(text.as_bytes());
            Ok(text.len())
        }
    }

    #[test]
    fn what_comes_behind_the_first_eio_is_not_lost() {
        let mut screen = Vec::new();
        let mut reads = Reads([Ok("a"), Err(libc::EAGAIN), Ok("b"), Err(libc::EIO), Ok("c")].into());
        assert!(!take_in(&mut reads, &mut screen).unwrap());
        assert!(take_in(&mut reads, &mut screen).unwrap());
        assert_eq!(screen, b"abc");
    }
}
