//! What the ports get from the originals' `lib/common.h` and `lib/log.c`.
//!
//! `use common::*;` takes the place of a C program's `#include "lib/common.h"` and brings
//!
//! - the libc crate's items: the socket calls, their structures and constants,
//! - the declarations that the libc crate lacks,
//! - the constants and [`error`] of `lib/common.h` and `lib/log.c`,
//! - [`sa`], [`ptr`] and [`sizeof`], which keep a port's lines as short as C's,
//! - [`check`], for the checks that an original lacks, and [`uninterrupted`],
//! - the panic handler that a `no_std` program needs.
#![cfg_attr(not(test), no_std)]
#![allow(non_camel_case_types)]

pub use core::ffi::CStr;
pub use core::mem::{MaybeUninit, offset_of, zeroed};
pub use core::ptr::{null, null_mut};
pub use core::sync::atomic::AtomicI32;
pub use core::sync::atomic::Ordering::Relaxed;
pub use libc::*;

use core::sync::atomic::Ordering::SeqCst;
use core::sync::atomic::{AtomicBool, compiler_fence};

// ---- lib/common.h ----

/// The UDP port of the course's servers.
pub const SERV_PORT: in_port_t = 43211;
/// The longest line or message, in bytes, that a program handles at once.
pub const MAXLINE: usize = 4096;
/// How many connections may wait for `accept`.
pub const LISTENQ: c_int = 1024;
/// The size, in bytes, of the local-socket servers' buffer.
pub const BUFFER_SIZE: usize = 4096;
/// The path of the course's local stream server.
pub const UNIXSTR_PATH: &CStr = c"/var/lib/unixstream.sock";

// ---- lib/log.c ----

/// Prints a diagnostic and ends the program if `status` is not 0.
///
/// `fmt` goes to standard error as it is: no original passes it arguments. If `err` is not 0,
/// `: strerror (number)` and a newline follow; if it is 0 nothing does, not even the newline.
/// The two writes and their bytes are those of `error()` in the originals' `lib/log.c`.
pub fn error(status: c_int, err: c_int, fmt: &CStr) {
    // SAFETY: the format matches its arguments, and strerror's text is used before the next call.
    uninterrupted(|| unsafe {
        fputs(fmt.as_ptr(), stderr);
        if err != 0 {
            fprintf(stderr, c": %s (%d)\n".as_ptr(), strerror(err), err);
        }
        if status != 0 {
            exit(status);
        }
    })
}

// ---- errno.h ----

/// C's `errno`: the number that the last failed call left.
#[inline]
pub fn errno() -> c_int {
    ::errno::errno().0
}

/// `errno = err`, for a call that must not change it.
pub fn set_errno(err: c_int) {
    ::errno::set_errno(::errno::Errno(err));
}

// ---- what stdio.h, stdlib.h, signal.h, arpa/inet.h and sys/stat.h declare and the libc crate does not ----

// The libc crate leaves the linking of libc to std when a crate elsewhere in the build turns its
// feature "std" on, and a port has no std.
#[link(name = "c")]
unsafe extern "C" {
    pub static mut stdin: *mut FILE;
    pub static mut stdout: *mut FILE;
    pub static mut stderr: *mut FILE;

    pub fn tmpnam(s: *mut c_char) -> *mut c_char;
    pub fn inet_pton(af: c_int, src: *const c_char, dst: *mut c_void) -> c_int;
    pub fn inet_addr(cp: *const c_char) -> in_addr_t;
    /// The address with dots, in a buffer that the next call overwrites.
    pub fn inet_ntoa(inp: in_addr) -> *mut c_char;
}

/// As in strings.h: writes `n` zero bytes to `s`.
///
/// # Safety
///
/// `s` points to `n` bytes that may be written.
#[inline]
pub unsafe fn bzero(s: *mut c_void, n: size_t) {
    memset(s, 0, n);
}

/// Is this the `st_mode` of a socket? A macro in C.
pub const fn S_ISSOCK(mode: mode_t) -> bool {
    mode & S_IFMT == S_IFSOCK
}

// ---- what C does silently ----

/// `&x` or `&mut x`, which C passes as a pointer of the type that is asked for.
pub trait Reference {
    type To<T>;
    fn cast<T>(self) -> Self::To<T>;
}

impl<X: ?Sized> Reference for &X {
    type To<T> = *const T;

    #[inline]
    fn cast<T>(self) -> *const T {
        (&raw const *self).cast()
    }
}

impl<X: ?Sized> Reference for &mut X {
    type To<T> = *mut T;

    #[inline]
    fn cast<T>(self) -> *mut T {
        (&raw mut *self).cast()
    }
}

/// `(struct sockaddr *) &addr`.
#[inline]
pub fn sa<A: Reference>(addr: A) -> A::To<sockaddr> {
    addr.cast()
}

/// An array, passed to a function: a pointer to its first byte.
#[inline]
pub fn ptr<A: Reference, T>(array: A) -> A::To<T> {
    array.cast()
}

/// `sizeof(x)`, as the type that is asked for.
#[inline]
pub fn sizeof<T, N: Size>(x: &T) -> N {
    N::size(size_of_val(x))
}

/// A type to which C converts a `size_t` where it is passed or stored as one.
pub trait Size {
    fn size(n: size_t) -> Self;
}

impl Size for size_t {
    #[inline]
    fn size(n: size_t) -> size_t {
        n
    }
}

impl Size for socklen_t {
    #[inline]
    fn size(n: size_t) -> socklen_t {
        n as socklen_t
    }
}

impl Size for c_int {
    #[inline]
    fn size(n: size_t) -> c_int {
        n as c_int
    }
}

// ---- signals ----

/// A handler as signal.h has it; the libc crate takes it as an integer.
pub type Handler = unsafe extern "C" fn(c_int);

/// The program's handler; it has one at most.
static mut HANDLER: Option<Handler> = None;
/// Whether the program is in a call that its handler must not interrupt.
static BUSY: AtomicBool = AtomicBool::new(false);
/// The signal that came meanwhile, or 0.
static WAITING: AtomicI32 = AtomicI32::new(0);

/// As in signal.h, except that the handler waits until a call in [`uninterrupted`] has ended.
///
/// # Safety
///
/// The program has no other handler, and this one calls nothing that is in use outside of
/// [`uninterrupted`].
pub unsafe fn signal(signum: c_int, handler: Handler) -> sighandler_t {
    HANDLER = Some(handler);
    libc::signal(signum, handle as Handler as sighandler_t)
}

unsafe extern "C" fn handle(signo: c_int) {
    if BUSY.load(Relaxed) {
        WAITING.store(signo, Relaxed);
    } else if let Some(handler) = HANDLER {
        handler(signo);
    }
}

/// Makes a call of stdio that the handler must not interrupt, because the handler calls stdio, too. It
/// runs after the call.
///
/// In glibc a `printf` inside another one can wait for ever for a lock: the stream's, if the first one is
/// just taking it, or malloc's, if the stream is just getting its buffer. It can also crash in malloc.
#[inline]
pub fn uninterrupted<T>(call: impl FnOnce() -> T) -> T {
    // The handler runs in this thread, so that only the compiler could change the order.
    let was_busy = BUSY.load(Relaxed);
    BUSY.store(true, Relaxed);
    compiler_fence(SeqCst);
    let result = call();
    compiler_fence(SeqCst);
    BUSY.store(was_busy, Relaxed);
    compiler_fence(SeqCst);
    // After that, not before: a signal between the two runs the handler at once.
    if !was_busy && WAITING.load(Relaxed) != 0 {
        catch_up();
    }
    result
}

/// Runs the handler for the signal that waits; another one meanwhile waits, too.
#[cold]
fn catch_up() {
    let signo = WAITING.swap(0, Relaxed);
    // SAFETY: there is one thread, and the handler is called as `signal` was told.
    uninterrupted(|| unsafe {
        if let Some(handler) = HANDLER {
            handler(signo);
        }
    });
}

// ---- checks that the originals lack ----

/// A result that shows whether the call failed.
pub trait Outcome: Copy {
    fn failed(self) -> bool;
}

impl Outcome for c_int {
    #[inline]
    fn failed(self) -> bool {
        self == -1
    }
}

impl Outcome for ssize_t {
    #[inline]
    fn failed(self) -> bool {
        self == -1
    }
}

impl<T> Outcome for *const T {
    #[inline]
    fn failed(self) -> bool {
        self.is_null()
    }
}

/// Ends the program through `error(1, errno(), message)` if `result` is -1 (or NULL, for a call
/// that returns a pointer), else returns `result`.
///
/// Every `check(` in a port is a check that the original lacks: `grep -rn 'check('` lists them.
#[inline]
pub fn check<T: Outcome>(result: T, message: &CStr) -> T {
    if result.failed() {
        error(1, errno(), message);
    }
    result
}

/// `path` if it fits into `sun_path` with its closing NUL, else NULL and ENAMETOOLONG for [`check`].
///
/// # Safety
///
/// `path` points to a NUL-terminated string.
pub unsafe fn fits_sun_path(path: *const c_char) -> *const c_char {
    const SUN_PATH: usize = size_of::<sockaddr_un>() - core::mem::offset_of!(sockaddr_un, sun_path);
    if strlen(path) < SUN_PATH {
        return path;
    }
    set_errno(ENAMETOOLONG);
    null()
}

/// `buf[n] = 0`, and, like C's string functions, the string. Aborts if `n` is not an index of `buf`.
#[inline]
pub fn terminate(buf: &mut [c_char], n: ssize_t) -> *const c_char {
    match buf.get_mut(n as usize) {
        Some(end) => *end = 0,
        // SAFETY: abort may be called anywhere.
        None => unsafe { abort() },
    }
    buf.as_ptr()
}

// ---- no_std ----

/// No input makes a port panic. (An index past an array would: Rust checks each one.)
#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // SAFETY: fputs takes a string and a stream, and abort may be called anywhere.
    unsafe {
        fputs(c"panicked\n".as_ptr(), stderr);
        abort()
    }
}

/// No port unwinds, but core was compiled to, and names this in unoptimised builds.
#[cfg(not(test))]
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `error` writes to standard error, and the status with which it ends the process.
    fn error_in_child(status: c_int, err: c_int, fmt: &CStr) -> (Vec<u8>, c_int) {
        // SAFETY: the child calls nothing but error() and _exit().
        unsafe {
            let mut fds = [0; 2];
            assert_eq!(pipe(fds.as_mut_ptr()), 0);
            let pid = fork();
            assert_ne!(pid, -1);
            if pid == 0 {
                dup2(fds[1], STDERR_FILENO);
                error(status, err, fmt);
                _exit(77);
            }
            close(fds[1]);
            let mut out = vec![0; 256];
            let mut len = 0;
            loop {
                let n = read(fds[0], out[len..].as_mut_ptr().cast(), out.len() - len);
                assert_ne!(n, -1);
                if n == 0 {
                    break;
                }
                len += n as usize;
            }
            close(fds[0]);
            out.truncate(len);
            let mut wstatus = 0;
            assert_eq!(waitpid(pid, &mut wstatus, 0), pid);
            assert!(WIFEXITED(wstatus), "killed by signal {}", WTERMSIG(wstatus));
            (out, WEXITSTATUS(wstatus))
        }
    }

    #[test]
    fn error_writes_what_log_c_writes() {
        let is = |status, err, fmt, wrote: &str, ended| {
            assert_eq!(error_in_child(status, err, fmt), (wrote.as_bytes().to_vec(), ended));
        };
        is(1, 0, c"usage: udpclient <IPaddress>", "usage: udpclient <IPaddress>", 1);
        is(1, ECONNREFUSED, c"recvfrom failed", "recvfrom failed: Connection refused (111)\n", 1);
        is(0, ENOENT, c"100%s", "100%s: No such file or directory (2)\n", 77);
    }

    #[test]
    fn minus_one_is_a_failure() {
        assert!((-1 as c_int).failed() && (-1 as ssize_t).failed());
        assert!(!(0 as c_int).failed() && !(4096 as ssize_t).failed());
        assert_eq!(check(3 as c_int, c"passes"), 3);
    }

    #[test]
    fn a_null_pointer_is_a_failure() {
        assert!(null::<c_char>().failed());
        assert!(!c"/tmp/file".as_ptr().failed());
    }

    #[test]
    fn a_path_needs_room_for_its_nul() {
        let path = |len| std::ffi::CString::new("p".repeat(len)).unwrap();
        // SAFETY: both are NUL-terminated strings.
        unsafe {
            let (longest, too_long) = (path(107), path(108));
            assert_eq!(fits_sun_path(longest.as_ptr()), longest.as_ptr());
            assert!(fits_sun_path(too_long.as_ptr()).is_null());
            assert_eq!(errno(), ENAMETOOLONG);
        }
    }

    #[test]
    fn a_handler_waits_for_what_is_uninterrupted() {
        static CALLED: AtomicI32 = AtomicI32::new(0);
        unsafe extern "C" fn handler(signo: c_int) {
            CALLED.store(signo, SeqCst);
        }
        // SAFETY: the handler stores a number, and raise signals this thread.
        unsafe {
            signal(SIGUSR1, handler);
            uninterrupted(|| {
                uninterrupted(|| ());
                raise(SIGUSR1);
                assert_eq!(CALLED.load(SeqCst), 0);
            });
            assert_eq!(CALLED.swap(0, SeqCst), SIGUSR1);
            raise(SIGUSR1);
            assert_eq!(CALLED.load(SeqCst), SIGUSR1);
        }
    }

    #[test]
    fn terminate_makes_a_string_of_n_bytes() {
        let mut buf = [b'x' as c_char; 4];
        // SAFETY: terminate has put a NUL into buf.
        let text = unsafe { CStr::from_ptr(terminate(&mut buf, 2)) };
        assert_eq!(text, c"xx");
    }

    #[test]
    fn a_pointer_points_to_the_first_byte() {
        let mut line = [b'x' as c_char; 4];
        let at: *const c_void = ptr(&line);
        assert_eq!(at, line.as_ptr().cast());
        let at: *mut c_char = ptr(&mut line);
        assert_eq!(at, line.as_mut_ptr());
        let at: *const c_void = ptr(c"hello");
        assert_eq!(at, c"hello".as_ptr().cast());
        // SAFETY: a sockaddr_in may be all zeros.
        let addr: sockaddr_in = unsafe { zeroed() };
        assert_eq!(sa(&addr), (&raw const addr).cast());
    }

    #[test]
    fn sizeof_is_the_whole_array() {
        let line = [0 as c_char; 4096];
        let (n, len, i): (size_t, socklen_t, c_int) = (sizeof(&line), sizeof(&line), sizeof(&line));
        assert_eq!((n, len, i), (4096, 4096, 4096));
    }

    #[test]
    fn bzero_clears_n_bytes() {
        let mut line = [b'x' as c_char; 4];
        // SAFETY: the array has more than three bytes.
        unsafe { bzero(ptr(&mut line), 3) };
        assert_eq!(line, [0, 0, 0, b'x' as c_char]);
    }
}
