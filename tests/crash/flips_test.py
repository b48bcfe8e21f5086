# SPDX-License-Identifier: Apache-2.0
"""Flipped bits on files of a stopped broker: what is read is what was written, in its place, or an error with a line of
the log that names the file; the broker neither crashes nor hangs. flips.py flips more of them and shows each."""
import random
import tempfile
import unittest

import flips
import load

FLIPS = 2
# Where most of the bytes are, and where a flip is hardest to notice.
MORE = {"log": 6, "journal": 5, "partition.metadata": 4, "snapshot": 3, "index": 3}
# Not yet: a base offset next to a gap in a segment that was cleaned seconds ago and has no sums yet.
KNOWN = {"log": ("wrong",)}


class Flips(unittest.TestCase):
    def test_a_flipped_bit_is_never_served_as_data(self):
        chance = random.Random(load.SEED)
        count = 0
        with tempfile.TemporaryDirectory(prefix="ottla-flips-") as parent:
            for prepared in flips.prepare(parent):
                for kind in flips.KINDS:
                    for trial in flips.trials(chance, prepared, kind, MORE.get(kind, FLIPS), parent):
                        count += 1
                        with self.subTest(kind=kind, seed=load.SEED):
                            self.assertIn(trial.outcome, (*flips.GOOD, *KNOWN.get(kind, ())), str(trial))
        print(f"{count} flips, seed {load.SEED}")
        self.assertGreater(count, 50)


if __name__ == "__main__":
    unittest.main()
