"""What a process and all its descendants have used."""

import psutil


class ProcessTree:
    """CPU time, memory and descriptors of one server, workers included."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)

    def cpu_us(self) -> float:
        """User plus system time so far, in microseconds (the kernel counts in steps of 10 ms)."""
        times = [process.cpu_times() for process in self._processes()]
        return sum(each.user + each.system for each in times) * 1e6

    def rss_kb(self) -> float:
        return sum(process.memory_info().rss for process in self._processes()) / 1024

    def descriptors(self) -> int:
        return sum(process.num_fds() for process in self._processes())

    def _processes(self) -> list[psutil.Process]:
        return [self._root, *self._root.children(recursive=True)]
