"""`iconet node`: a DICOM node that sends every series back with a derived one beside it.

Data goes down here too: what is received is on the disk and in the queue before the sender hears of
success; a series that is complete is upscaled by one process of its own; its result is sent until
the archive has it. Every step may be done twice and none is lost, whenever the node is killed.
"""
