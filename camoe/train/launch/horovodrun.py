"""Horovod's launcher, closed to others: `python -m camoe.train.launch.horovodrun`, with `horovodrun`'s arguments."""

from __future__ import annotations

import sys

from horovod.runner.common.util.hosts import parse_hosts_and_slots
from horovod.runner.launch import parse_args, run_commandline

from camoe.train.launch.listeners import close_services, on_this_machine


def main() -> None:
    """Run the launcher over this process's command line; not in its elastic mode, which executes what it is sent."""
    args = parse_args()
    if args.host_discovery_script or args.min_num_proc or args.max_num_proc:
        sys.exit("error: Horovod's elastic mode is not used (CVE-2024-10190); name hosts with -H")
    hosts = parse_hosts_and_slots(args.hosts)[0] if args.hosts else []
    close_services(one_machine=not args.hostfile and on_this_machine(hosts))
    run_commandline()


if __name__ == "__main__":
    main()
