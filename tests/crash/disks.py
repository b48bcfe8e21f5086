# SPDX-License-Identifier: Apache-2.0
"""Small file systems that a test may fill, cut off and mount again. They take root; without it a test fails, it is
never passed over."""
import contextlib
import fcntl
import os
import struct
import subprocess
import tempfile

MEBIBYTE = 1 << 20
SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
NO_FLUSH = 2


def _run(*words):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"this test needs root and a Linux that can mount: {' '.join(words)} ended with "
                             f"{done.returncode}: {done.stderr.strip()}")


@contextlib.contextmanager
def memory(size):
    """A tmpfs of `size` bytes: its folder."""
    with tempfile.TemporaryDirectory(prefix="ottla-tmpfs-") as folder:
        _run("mount", "-t", "tmpfs", "-o", f"size={size}", "ottla-test", folder)
        try:
            yield folder
        finally:
            _run("umount", "-l", folder)


class Disk:
    """An ext4 of its own in a file, mounted at `folder`."""

    def __init__(self, parent, size):
        self.image, self.folder = os.path.join(parent, "image"), os.path.join(parent, "disk")
        os.mkdir(self.folder)
        with open(self.image, "wb") as file:
            file.truncate(size)
        _run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,nodiscard", self.image)

    def mount(self):
        _run("mount", "-o", "loop", self.image, self.folder)

    def unmount(self):
        _run("umount", self.folder)

    def cut_off(self):
        """From now on every access fails, and what was not synced will never reach the disk: a power cut that leaves
        the processes alive."""
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, SHUTDOWN, struct.pack("I", NO_FLUSH))
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def disk(size):
    with tempfile.TemporaryDirectory(prefix="ottla-disk-") as parent:
        made = Disk(parent, size)
        made.mount()
        try:
            yield made
        finally:
            subprocess.run(["umount", "-l", made.folder], capture_output=True)
