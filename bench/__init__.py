"""What is measured, apart from the tests: nothing here runs in CI."""
