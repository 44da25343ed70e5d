"""`iconet view`: a page on this computer to drop a scan on, upscale it, and look at the result.

The page is written in `web/` at the top of the repository; what is built of it lies in `page/`.
"""
