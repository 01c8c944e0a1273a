"""Finished outputs, put out of the way without deleting them.

ext4 without a journal does not reuse an inode for minutes after its deletion and walks over such inodes one by one:
deleting the last run's files would make the next run's several times slower. So files are cut to nothing, and deleted
when everything is measured.
"""

import os
from pathlib import Path


def park(folder: Path) -> None:
    """Free the blocks of every file below `folder`, keep the files, and wait until the disk is quiet."""
    for top, _, names in os.walk(folder):
        for name in names:
            path = Path(top, name)
            if not path.is_symlink():
                os.truncate(path, 0)
    os.sync()
