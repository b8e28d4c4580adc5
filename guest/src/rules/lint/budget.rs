//! What lint may still do: whoever writes a file of the site must not keep a server at it.

/// Questions, and notes of the engine on them. 50,000 rules that do not overlap need five for each.
/// What is beyond is not looked at, and a finding says so.
const STEPS: usize = 500_000;

/// Steps between two looks at the time, each of which may be a system call. Together they take some
/// milliseconds at most.
const STEPS_BETWEEN_LOOKS: usize = 32;

/// What may still be done.
pub(super) struct Budget<'w> {
    steps: usize,
    /// Steps since the last look at the time.
    since_look: usize,
    /// Whether there is time for more: one question may try hundreds of patterns in vain.
    has_time: &'w mut dyn FnMut() -> bool,
}

impl<'w> Budget<'w> {
    /// All steps, as long as there is time.
    pub(super) fn new(has_time: &'w mut dyn FnMut() -> bool) -> Budget<'w> {
        Budget { steps: STEPS, since_look: 0, has_time }
    }

    /// Takes steps, and looks at the time now and then.
    pub(super) fn spend(&mut self, steps: usize) {
        self.steps = self.steps.saturating_sub(steps);
        self.since_look += steps;
        if self.since_look >= STEPS_BETWEEN_LOOKS {
            self.since_look = 0;
            if !(self.has_time)() {
                self.steps = 0;
            }
        }
    }

    pub(super) fn is_spent(&self) -> bool {
        self.steps == 0
    }
}
