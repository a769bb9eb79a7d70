"""The app's triggers and their connections. The work itself is in `transcription.job`.

The host acknowledges and drops events for a function that it does not know. So the functions must be indexed whatever
the settings say. Only three settings are read here, each with a default. With a wrong setting the app still starts,
logs the problem and writes `Failed` documents. The rest of the package is imported with the first upload. If that
import fails, uploads fail but none is lost: once it is fixed, the sweep finds them.
"""

import os

import azure.functions as func
import azurefunctions.extensions.bindings.blob as blob

from transcription.settings.app import TriggerSettings, log_wrong_settings

app = func.FunctionApp()
trigger = TriggerSettings.read(os.environ)
log_wrong_settings(os.environ)


@app.function_name("transcribe")
@app.blob_trigger(
    arg_name="upload",
    path=f"{trigger.container}/{{name}}",
    connection="AudioStorage",
    source=func.BlobSource(trigger.source),
)
def transcribe(upload: blob.BlobClient) -> None:
    """Transcribe one upload into one document.

    Only the client's blob name is used. The host makes a new client for every call, with retries that last minutes.
    """
    from transcription import job

    job.for_this_process().run(upload.container_name, upload.blob_name)


@app.function_name("again")
@app.queue_trigger(arg_name="message", queue_name="transcription-again", connection="AudioStorage")
def again(message: func.QueueMessage) -> None:
    """Continue an upload that was not finished, or try it again."""
    from transcription import job

    job.for_this_process().again(message.get_body())


@app.function_name("abandoned")
@app.queue_trigger(arg_name="message", queue_name="webjobs-blobtrigger-poison", connection="AudioStorage")
def abandoned(message: func.QueueMessage) -> None:
    """Write the document of an upload that the host gave up on."""
    from transcription import job

    job.for_this_process().abandon(message.get_body())


if trigger.sweep_schedule:

    @app.function_name("sweep")
    @app.timer_trigger(arg_name="timer", schedule=trigger.sweep_schedule, run_on_startup=False)
    def sweep(timer: func.TimerRequest) -> None:  # noqa: ARG001  # the host passes it by name
        """Queue the uploads that have no finished document."""
        from transcription import job

        job.for_this_process().sweep()
