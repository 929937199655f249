"""Stand-ins for two modules that Petastorm 0.13.1 imports and pyarrow no longer has, so that it can be imported at all.

Petastorm needs what is in them where it opens a data set by its address, on HDFS or on a local disk. The stream has its
files from the table's log and never does (`reader.py`), so the classes are empty: what of Petastorm calls one of them
fails by its name. Imported by the package, and so before any of Petastorm.
"""

from __future__ import annotations

import sys
from types import ModuleType

NAMES = {"pyarrow.filesystem": "LocalFileSystem", "pyarrow.hdfs": "HadoopFileSystem"}

for module, name in NAMES.items():
    stand_in = ModuleType(module, __doc__)
    setattr(stand_in, name, type(name, (), {"__module__": module}))
    sys.modules[module] = stand_in
