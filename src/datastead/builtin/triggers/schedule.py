"""The trigger `schedule`."""

from datetime import datetime

from cronsim import CronSim, CronSimError
from pydantic import Field

from datastead import Options, Trigger, trigger
from datastead.errors import InvalidFlow


class ScheduleOptions(Options):
    """When the flow starts."""

    cron: str = Field(description="Five fields (minute, hour, day, month, weekday), or six with the second first; UTC.")


@trigger("schedule", ScheduleOptions)
class ScheduleTrigger(Trigger[ScheduleOptions]):
    """Starts at the times of a cron expression, in UTC; once, however many servers run."""

    def check(self, options: ScheduleOptions) -> None:
        try:
            CronSim(options.cron, datetime(2000, 1, 1))  # noqa: DTZ001  any moment will do
        except CronSimError as error:
            raise InvalidFlow(
                f"The cron expression `{options.cron}` is not valid: {str(error)[:1].lower()}{str(error)[1:]}. "
                "Write five fields, such as `0 3 * * *`, or six with the second first.",
                option="cron", value=options.cron,
            ) from error  # fmt: skip

    def next_at(self, options: ScheduleOptions, after: datetime) -> datetime | None:
        return next(CronSim(options.cron, after), None)
