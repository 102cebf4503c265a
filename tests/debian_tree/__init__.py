"""Clean Debian trees for tests: one made by debootstrap, copied and changed, with processes
inside.
"""

from .checks import Checks
from .debian_tree import DebianTree, Unavailable, base_tree
from .picture import PICTURE
from .sandbox import Sandbox

__all__ = ["PICTURE", "Checks", "DebianTree", "Sandbox", "Unavailable", "base_tree"]
