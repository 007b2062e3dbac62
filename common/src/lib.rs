//! What the ports get from the originals' `lib/common.h` and `lib/log.c`.
//!
//! `use common::*;` stands where a C program has its `#include "lib/common.h"` and brings
//!
//! - the libc crate's items: the socket calls, their structures and constants,
//! - the declarations that the libc crate lacks,
//! - the constants and [`error`] of `lib/common.h` and `lib/log.c`,
//! - [`check`], for the checks that an original lacks, and [`uninterrupted`],
//! - the panic handler that a `no_std` program needs.
#![cfg_attr(not(test), no_std)]
#![allow(non_camel_case_types)]

pub use ::errno;
pub use ::libc;

pub use core::ffi::CStr;
pub use core::mem::{MaybeUninit, offset_of, zeroed};
pub use core::ptr::{null, null_mut};
pub use libc::*;

use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use core::sync::atomic::{AtomicBool, AtomicI32, compiler_fence};

// ---- lib/common.h ----

/// The UDP port of the course's servers.
pub const SERV_PORT: in_port_t = 43211;
/// The longest line or message, in bytes, that a program handles at once.
pub const MAXLINE: usize = 4096;
/// How many connections may wait for `accept`.
pub const LISTENQ: c_int = 1024;
/// The size, in bytes, of the local-socket servers' buffer.
pub const BUFFER_SIZE: usize = 4096;
/// Where the course's local stream server listens if nothing else is said.
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
    fn wmemset(s: *mut wchar_t, c: wchar_t, n: size_t) -> *mut wchar_t;
    pub fn inet_pton(af: c_int, src: *const c_char, dst: *mut c_void) -> c_int;
    pub fn inet_addr(cp: *const c_char) -> in_addr_t;
    /// The address with dots, in a buffer that the next call overwrites.
    pub fn inet_ntoa(inp: in_addr) -> *mut c_char;
}

/// Host to network byte order, 16 bits.
pub const fn htons(hostshort: u16) -> u16 {
    hostshort.to_be()
}

/// Host to network byte order, 32 bits.
pub const fn htonl(hostlong: u32) -> u32 {
    hostlong.to_be()
}

/// As in strings.h: writes `n` zero bytes to `s`.
///
/// gcc -O2 clears a buffer in place. Whatever one writes, Rust makes a call to memset of it, for
/// which glibc has `rep stosb` from about 2 KiB on, where the processor is good at that (ERMS);
/// its wmemset keeps to vector stores.
///
/// # Safety
///
/// `s` points to `n` bytes that may be written.
#[inline]
pub unsafe fn bzero(s: *mut c_void, n: size_t) {
    let bytes = core::slice::from_raw_parts_mut(s.cast::<MaybeUninit<u8>>(), n);
    let (head, words, tail) = bytes.align_to_mut::<wchar_t>();
    head.fill(MaybeUninit::new(0));
    wmemset(words.as_mut_ptr(), 0, words.len());
    tail.fill(MaybeUninit::new(0));
}

/// Is this the `st_mode` of a socket? A macro in C.
pub const fn S_ISSOCK(mode: mode_t) -> bool {
    mode & S_IFMT == S_IFSOCK
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

/// As in signal.h, but that the handler waits for the end of what is [`uninterrupted`].
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

/// Makes a call of stdio that the handler must not interrupt, because it calls stdio itself: it runs
/// when the call is done.
///
/// In glibc a `printf` in the midst of another waits for ever for the stream's lock, if that is just
/// being taken, and while the stream gets its buffer it may find malloc in pieces.
#[inline]
pub fn uninterrupted<T>(call: impl FnOnce() -> T) -> T {
    // The handler runs in this thread: it is the compiler that must keep the order, and it alone.
    let was_busy = BUSY.load(Relaxed);
    BUSY.store(true, Relaxed);
    compiler_fence(SeqCst);
    let result = call();
    compiler_fence(SeqCst);
    BUSY.store(was_busy, Relaxed);
    compiler_fence(SeqCst);
    // Behind that, not before: what comes between the two runs the handler at once.
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

/// A result that says itself whether the call failed.
pub trait Outcome: Copy {
    fn failed(self) -> bool;

    /// The `errno` of the call, if it failed.
    #[inline]
    fn err(self) -> c_int {
        errno()
    }
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

/// A result and the `errno` that was read with it, before another call could change that.
impl<T: Outcome> Outcome for (T, c_int) {
    #[inline]
    fn failed(self) -> bool {
        self.0.failed()
    }

    #[inline]
    fn err(self) -> c_int {
        self.1
    }
}

/// Ends the program through `error(1, errno(), message)` if `result` is -1 (or NULL, for a call
/// that returns a pointer), else returns `result`.
///
/// It stands around a call whose result the original ignores or, where the original prints the
/// result and goes on, behind that print, with the `errno` that was kept: `grep 'check('` lists
/// them all.
#[inline]
pub fn check<T: Outcome>(result: T, message: &CStr) -> T {
    if result.failed() {
        error(1, result.err(), message);
    }
    result
}

/// The result of [`inet_pton`] with its 0, "not an address", as -1 and EINVAL for [`check`].
pub fn parsed(result: c_int) -> c_int {
    if result != 0 {
        return result;
    }
    set_errno(EINVAL);
    -1
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

/// `buf[n] = 0`, and, like C's string functions, the string.
///
/// # Panics
///
/// If `n` is not an index of `buf`.
#[inline]
pub fn terminate(buf: &mut [c_char], n: ssize_t) -> *const c_char {
    buf[n as usize] = 0;
    buf.as_ptr()
}

// ---- no_std ----

/// A port has no call that panics on any input; should one come, it says where and aborts.
#[cfg(not(test))]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    // SAFETY: the format matches its arguments; `%.*s` takes a name without NUL.
    unsafe {
        if let Some(at) = info.location() {
            fprintf(stderr, c"panicked at %.*s:%u\n".as_ptr(), at.file().len() as c_int, at.file().as_ptr(), at.line());
        }
        abort()
    }
}

/// The unwinding that no port does: core, compiled to unwind, names this in unoptimised builds.
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
        assert_eq!(error_in_child(1, 0, c"usage: udpclient <IPaddress>"), (b"usage: udpclient <IPaddress>".to_vec(), 1));
        assert_eq!(error_in_child(1, ECONNREFUSED, c"recvfrom failed"), (b"recvfrom failed: Connection refused (111)\n".to_vec(), 1));
        assert_eq!(error_in_child(0, ENOENT, c"100%s"), (b"100%s: No such file or directory (2)\n".to_vec(), 77));
    }

    #[test]
    fn minus_one_is_a_failure() {
        assert!((-1 as c_int).failed() && (-1 as ssize_t).failed());
        assert!(!(0 as c_int).failed() && !(4096 as ssize_t).failed());
        assert_eq!(check(3 as c_int, c"passes"), 3);
        assert_eq!(check((3 as c_int, EIO), c"passes").0, 3);
    }

    #[test]
    fn a_kept_errno_outlives_the_next_call() {
        set_errno(EADDRINUSE);
        let kept = (-1 as c_int, errno());
        set_errno(ENOSPC);
        assert!(kept.failed());
        assert_eq!(kept.err(), EADDRINUSE);
        assert_eq!((-1 as c_int).err(), ENOSPC);
    }

    #[test]
    fn a_null_pointer_is_a_failure() {
        assert!(null::<c_char>().failed());
        assert!(!c"/tmp/file".as_ptr().failed());
    }

    #[test]
    fn not_an_address_is_einval() {
        assert_eq!((parsed(1), parsed(-1)), (1, -1));
        assert_eq!((parsed(0), errno()), (-1, EINVAL));
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
    fn byte_order_is_the_networks() {
        assert_eq!(htons(SERV_PORT).to_ne_bytes(), [0xa8, 0xcb]);
        assert_eq!(htonl(0x7f00_0001).to_ne_bytes(), [127, 0, 0, 1]);
    }
}
