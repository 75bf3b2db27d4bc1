"""What every test may use: the real PBXs of tests/lab."""

pytest_plugins = ["tests.lab.fixtures"]
