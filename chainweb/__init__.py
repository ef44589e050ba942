"""Run web, workers and clock; every process of an installation begins with this package."""

import gc

# Python looks for unused cycles whenever there are 700 objects more. That is a tenth of what a
# start takes, and hardly any are found; 10,000 more will do.
gc.set_threshold(10_000, 10, 10)
