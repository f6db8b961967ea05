"""What pyproject.toml cannot say: the wheel fits one platform, for its shared objects, but every Python 3."""

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel


class WithSharedObjects(Distribution):
    """Nothing here is compiled by setuptools, which sees no difference from pure Python by itself."""

    def has_ext_modules(self) -> bool:
        return True


class ForEveryPython(bdist_wheel):
    """The shared objects talk to TensorFlow and know nothing of Python."""

    def get_tag(self) -> tuple[str, str, str]:
        _, _, platform = super().get_tag()
        return "py3", "none", platform


setup(distclass=WithSharedObjects, cmdclass={"bdist_wheel": ForEveryPython})
