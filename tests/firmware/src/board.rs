//! Start-up, timer, reset and halt of each processor.

#[cfg(target_arch = "arm")]
pub use arm::*;
#[cfg(target_arch = "riscv32")]
pub use riscv32::*;

#[cfg(target_arch = "arm")]
mod arm {
    use cortex_m::peripheral::syst::SystClkSource;
    use cortex_m::peripheral::{SCB, SYST};

    pub use cortex_m_rt::entry;

    /// Sets the timer to interrupt once, after `ticks`.
    pub fn alarm(ticks: u32) {
        // SAFETY: only this function uses the timer: the main loop starts it, then only its
        // interrupt handler calls this.
        let mut timer = unsafe { cortex_m::Peripherals::steal() }.SYST;
        set(&mut timer, ticks);
    }

    /// Enables interrupts: they are enabled after reset.
    pub const fn listen() {}

    fn set(timer: &mut SYST, ticks: u32) {
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(ticks);
        timer.clear_current();
        timer.enable_counter();
        timer.enable_interrupt();
        SCB::clear_pendst();
    }

    /// Resets the processor, as a watchdog does.
    pub fn reset() -> ! {
        SCB::sys_reset()
    }

    /// Halts with interrupts disabled.
    pub fn hang() -> ! {
        cortex_m::interrupt::disable();
        loop {
            cortex_m::asm::wfi();
        }
    }
}

#[cfg(target_arch = "riscv32")]
mod riscv32 {
    use core::ptr::with_exposed_provenance_mut;

    pub use riscv_rt::entry;

    /// Timer of QEMU's virt: time of the next interrupt, and current time (both u64).
    const MTIMECMP: usize = 0x0200_4000;
    const MTIME: usize = 0x0200_BFF8;
    /// Register that ends or restarts the machine.
    const TEST: usize = 0x0010_0000;
    const RESET: u32 = 0x7777;

    /// Sets the timer to interrupt once, after `ticks`.
    #[allow(clippy::cast_possible_truncation)] // The halves.
    pub fn alarm(ticks: u32) {
        let high = load(MTIME + 4);
        let low = load(MTIME);
        // The low half may have wrapped between the loads.
        let high = if load(MTIME + 4) == high { high } else { high + 1 };
        let then = (u64::from(high) << 32 | u64::from(low)) + u64::from(ticks);
        // Never in the past between the stores.
        store(MTIMECMP + 4, u32::MAX);
        store(MTIMECMP, then as u32);
        store(MTIMECMP + 4, (then >> 32) as u32);
    }

    /// Enables the timer interrupt.
    pub fn listen() {
        // SAFETY: the handler exists.
        unsafe { riscv::register::mie::set_mtimer() };
        // SAFETY: the main loop and the handler share atomics only.
        unsafe { riscv::interrupt::enable() };
    }

    fn load(register: usize) -> u32 {
        // SAFETY: a register of this board that may be loaded at any time.
        unsafe { with_exposed_provenance_mut::<u32>(register).read_volatile() }
    }

    fn store(register: usize, value: u32) {
        // SAFETY: a register of this board, with a value that it accepts.
        unsafe { with_exposed_provenance_mut::<u32>(register).write_volatile(value) };
    }

    /// Resets the processor, as a watchdog does.
    pub fn reset() -> ! {
        store(TEST, RESET);
        hang()
    }

    /// Halts with interrupts disabled.
    pub fn hang() -> ! {
        riscv::interrupt::disable();
        loop {
            riscv::asm::wfi();
        }
    }
}
