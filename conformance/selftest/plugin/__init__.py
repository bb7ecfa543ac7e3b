"""What pytest does with the plugin in it: the tests of ``pytest_steering.plugin``, through its own doors."""
