"""An interpreter of Core ML programs: the file that ships, executed on any machine."""
