//! What a machine has to have: a way to begin, to print and to end.

#[cfg_attr(not(target_os = "none"), path = "hosted.rs")]
#[cfg_attr(all(target_os = "none", target_arch = "aarch64"), path = "aarch64.rs")]
#[cfg_attr(all(target_os = "none", target_arch = "riscv64"), path = "riscv64.rs")]
mod imp;

use core::fmt;

/// Prints a line.
macro_rules! say {
    ($($argument:tt)*) => {
        core::fmt::Write::write_fmt(
            &mut $crate::machine::Console,
            format_args!("{}\n", format_args!($($argument)*)),
        )
        .expect("a console takes everything")
    };
}
pub(crate) use say;

pub(crate) struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(imp::put);
        Ok(())
    }
}

/// Where the machine begins, on a stack of its own.
#[cfg(target_os = "none")]
extern "C" fn start() -> ! {
    crate::main();
    imp::exit(0)
}

/// Where it goes when something is wrong.
#[cfg(target_os = "none")]
extern "C" fn trap() -> ! {
    say!("trapped");
    imp::exit(2)
}

#[cfg(target_os = "none")]
#[panic_handler]
fn panicked(info: &core::panic::PanicInfo<'_>) -> ! {
    say!("panicked: {}", info.message());
    imp::exit(1)
}
