"""An interpreter of Core ML programs: the file that ships, executed on any machine."""

from pocketrec.validate.coreml_program.interpreter import CoreMLInterpreter
from pocketrec.validate.coreml_program.mlmodel_predict import install, uninstall

__all__ = ["CoreMLInterpreter", "install", "uninstall"]
