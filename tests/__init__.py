"""The suite. Property tests are not timed: a busy machine is no reason to fail."""

from hypothesis import HealthCheck, settings

from datastead.data.mariadb import MariadbDriver
from datastead.data.postgresql import PostgresqlDriver

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# The suite opens many databases at once, each with connections of its own, on a server that allows a hundred.
PostgresqlDriver.readers = PostgresqlDriver.writers = 4
MariadbDriver.readers = MariadbDriver.writers = 2
