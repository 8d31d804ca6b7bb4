"""The kernel in memory, behind the interface of ``netd.kernel``: for tests by the thousand, without root.

``FakeMachine`` is what the kernel has, with the rules by which one thing takes another with it; ``FakeKernel`` is one
process that looks at it. The contract tests hold the same assertions against both kernels: where they differ this one
is wrong. What it does not have: traffic, physical ports, duplicate address detection, attached namespaces.
"""

from .kernel import FakeKernel, fake_machine

__all__ = ["FakeKernel", "fake_machine"]
