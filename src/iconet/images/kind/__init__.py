"""What kind of image a scan is: decided in this folder alone.

`kinds` names them, `headers` and `names` look at what a file says, `values` at what it holds, and
`decide` weighs these.
"""

from iconet.images.kind.decide import kind_of
from iconet.images.kind.kinds import KINDS, Kind, refuse_unless_image

__all__ = ["KINDS", "Kind", "kind_of", "refuse_unless_image"]
