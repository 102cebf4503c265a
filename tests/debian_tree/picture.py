"""What the example's pool is asked in a tree that holds no files of the repository."""

import json

# A picture of 28 x 28, darker from left to right.
PICTURE = "image=" + json.dumps([round((index % 28) / 28, 2) for index in range(784)])
