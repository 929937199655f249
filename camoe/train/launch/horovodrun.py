"""Horovod's launcher, closed to others: `python -m camoe.train.launch.horovodrun`, with `horovodrun`'s arguments."""

from __future__ import annotations

from horovod.runner.common.util.hosts import parse_hosts_and_slots
from horovod.runner.launch import parse_args, run_commandline

from camoe.train.launch.listeners import close_services, on_this_machine


def main() -> None:
    """Run the launcher over this process's command line, which names the hosts."""
    hosts, _ = parse_hosts_and_slots(parse_args().hosts)
    close_services(one_machine=on_this_machine(hosts))
    run_commandline()


if __name__ == "__main__":
    main()
