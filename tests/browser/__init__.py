"""The pages in Debian's Chromium, as readers see them."""
