//! How many jobs the thread has.

/// The jobs of the thread, in numbers.
pub struct Pool {
    free: usize,
    total: usize,
    max: usize,
    wanted: usize,
    keep: usize,
}

const KEEP: usize = 64;

impl Default for Pool {
    /// As after a `cleanup_thread`.
    fn default() -> Self {
        Pool { free: 0, total: 0, max: 0, wanted: KEEP, keep: 0 }
    }
}

impl Pool {
    pub fn cleanup(&mut self) {
        self.max = 0;
        self.wanted = KEEP;
        self.keep = 0;
        self.shrink_to(0);
    }

    /// Whether the sizes agree with each other.
    pub fn init(&mut self, max: usize, init: usize) -> bool {
        if init > max {
            return false;
        }
        self.max = max;
        self.wanted = init.max(KEEP);
        if max != 0 {
            self.shrink_to(max);
        }
        self.keep = if max != 0 && self.total > max { 0 } else { self.wanted };
        while self.total < init && self.create() {
            self.free += 1;
        }
        true
    }

    /// Whether there is a job to start.
    pub fn take(&mut self, own_stack: bool) -> bool {
        if !own_stack && self.free > 0 {
            self.free -= 1;
            return true;
        }
        self.create()
    }

    pub fn put(&mut self, own_stack: bool) {
        if !own_stack && self.free < self.keep {
            self.free += 1;
        } else {
            self.total -= 1;
        }
    }

    /// All jobs, and the free ones.
    pub fn census(&self) -> (usize, usize) {
        (self.total, self.free)
    }

    fn create(&mut self) -> bool {
        if self.max != 0 {
            self.shrink_to(self.max - 1);
            if self.total >= self.max {
                return false;
            }
        }
        self.total += 1;
        self.keep = self.wanted;
        true
    }

    fn shrink_to(&mut self, total: usize) {
        let gone = self.total.saturating_sub(total).min(self.free);
        self.free -= gone;
        self.total -= gone;
    }
}
