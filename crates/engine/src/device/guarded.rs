use std::{
    any::Any,
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook},
    sync::Once,
};

use super::DeviceName;
use crate::{Error, Result};

thread_local! {
    /// Whether a panic of this thread will be an error.
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs what a device of that name may break, by its driver's fault or for want of
/// memory. Burn panics then; that is printed only for who asks for traces (`RUST_BACKTRACE`).
///
/// # Errors
/// If it panicked.
pub fn guarded<T>(name: DeviceName, work: impl FnOnce() -> T) -> Result<T> {
    keep_quiet_where_guarded();
    let before = IS_GUARDED.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    IS_GUARDED.set(before);
    done.map_err(|panic| Error::DeviceFailed { name, what: reason(&*panic) })
}

/// Has the program's panics printed as ever, but for those that will be errors.
fn keep_quiet_where_guarded() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = take_hook();
        let traces = std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0");
        set_hook(Box::new(move |panic| {
            if traces || !IS_GUARDED.get() {
                usual(panic);
            }
        }));
    });
}

/// What a panic says, in a line. Burn's errors are a list of causes with a trace behind it; the
/// last cause is the driver's own word.
fn reason(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    let mut lines = text.unwrap_or("it gave no reason").lines().map(str::trim);
    let first = lines.next().unwrap_or_default();
    let is_trace = |line: &&str| {
        line.starts_with("No backtrace")
            || line.starts_with("Asked at")
            || line.contains("stack backtrace")
    };
    let causes = lines.take_while(|line| !is_trace(line));
    let last = causes.filter(|line| !line.is_empty() && *line != "Caused by:").last();
    last.unwrap_or(first).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_a_driver_is_an_error() {
        let failed = guarded(DeviceName::Auto, || -> usize { panic!("no {}", "queue") });
        let failed = failed.unwrap_err().to_string();
        assert!(failed.contains("auto") && failed.contains("no queue"), "{failed}");
        assert!(!IS_GUARDED.get());
    }

    #[test]
    fn the_last_cause_is_the_reason() {
        let text = "Error while reading data\nCaused by:\n  Several failures at once\nCaused by:\n  can't \
                    allocate buffer of size: 151781376\nNo backtrace available\nAsked at:\nhere";
        let failed = guarded(DeviceName::Auto, || -> usize { panic!("{text}") });
        let failed = failed.unwrap_err().to_string();
        assert!(failed.contains("can't allocate buffer of size: 151781376"), "{failed}");
        assert!(!failed.contains("Caused") && !failed.contains("here"), "{failed}");
    }
}
