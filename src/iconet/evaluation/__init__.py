"""How good an upscaled image is: metrics, interpolations, statistics, tables and figures."""
