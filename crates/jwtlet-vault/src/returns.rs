//! Who is expected to come back: callers that were answered, in numbers, because they have no names here.

/// After so many answers, those who were missing all the while are not expected any more. Fewer would take clients for
/// gone that are slow because the CPU is busy.
const MISSED_ANSWERS: u32 = 8;

/// Callers who were answered and may come back.
#[derive(Debug, Default)]
pub(crate) struct Returns {
    /// How many are expected: no more than the last two calls have answered.
    pub(crate) expected: usize,
    /// The fewest who were expected since those who do not come back were last given up.
    fewest: usize,
    /// How many calls were answered since then.
    answers: u32,
    /// The size of the last of them.
    last: usize,
}

impl Returns {
    /// So many have come, whoever they are.
    pub(crate) fn came(&mut self, callers: usize) {
        self.expected = self.expected.saturating_sub(callers);
        self.fewest = self.fewest.min(self.expected);
    }

    /// A call for so many has ended.
    pub(crate) fn answered(&mut self, callers: usize) {
        let mut missing = self.expected.min(self.last);
        self.answers += 1;
        let gives_up = self.answers == MISSED_ANSWERS;
        if gives_up {
            missing = missing.saturating_sub(self.fewest);
            self.answers = 0;
        }
        self.expected = missing + callers;
        if gives_up {
            self.fewest = self.expected;
        }
        self.last = callers;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_are_expected_than_two_calls_have_answered() {
        let mut returns = Returns::default();
        for (answered, expected) in [(100, 100), (2, 102), (2, 4), (2, 4)] {
            returns.answered(answered);
            assert_eq!(returns.expected, expected);
        }
    }

    #[test]
    fn who_does_not_come_back_is_given_up_after_some_answers() {
        let mut returns = Returns::default();
        returns.answered(4);
        returns.answered(4);
        for _ in 0..2 * MISSED_ANSWERS {
            (0..4).for_each(|_| returns.came(1));
            returns.answered(4);
        }
        assert_eq!(returns.expected, 4);
    }
}
