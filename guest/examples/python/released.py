"""What `make` builds: the policy of `app.py`, which prints nothing."""

import quiet  # First: a policy may print when it is imported.
from app import *
