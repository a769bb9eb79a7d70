"""The edge: what triggers us, and over which connection. What happens then is told in `transcription.job`.

The functions must be indexed whatever the settings say, because the host acknowledges and drops events for a function
it does not know. So only two settings are read here, each with a default, and a wrong setting is a line in the log
and a `Failed` document instead of an app that does not start. What does the work is imported with the first upload: a
package that cannot be loaded then fails uploads, which infra/redrive.py finds, and loses none.
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
    """One upload → one document. The client only names the blob: it comes new for every call, with retries of
    minutes.
    """
    from transcription import job

    job.for_this_process().run(upload.container_name, upload.blob_name)


@app.function_name("abandoned")
@app.queue_trigger(arg_name="message", queue_name="webjobs-blobtrigger-poison", connection="AudioStorage")
def abandoned(message: func.QueueMessage) -> None:
    """One upload that the host gave up on → one document that says so."""
    from transcription import job

    job.for_this_process().abandon(message.get_body())
