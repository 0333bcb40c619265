"""``c2`` with FSDP on CPUs, which Accelerate offers on accelerators only: for a test.

Run by ``accelerate launch``; all that is exchanged is the kind of team that Accelerate sees.
"""

from __future__ import annotations

from typing import Any

from accelerate.state import AcceleratorState, DistributedType

state_init = AcceleratorState.__init__


def in_pieces(self: Any, *positional: Any, fsdp_plugin: Any = None, **named: Any) -> None:
    state_init(self, *positional, fsdp_plugin=fsdp_plugin, **named)
    plugin = fsdp_plugin or self.__dict__.get("fsdp_plugin")
    if plugin is not None:
        self.distributed_type, self.fsdp_plugin = DistributedType.FSDP, plugin


AcceleratorState.__init__ = in_pieces

if __name__ == "__main__":
    from coursecorrect.cli.main import main

    main()
