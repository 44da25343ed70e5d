"""Programs of others that the tests run come with the environment, which need not be activated."""

import os
import sysconfig

os.environ["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
