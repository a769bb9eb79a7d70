"""The message classes for Microsoft's worker code."""

import json

import pytest

from local.worker import shapes


def test_a_request_has_its_details_under_its_verb() -> None:
    request = shapes.request("function_load_request", function_id="7")
    assert request.request.function_load_request.function_id == "7"
    assert request.properties["protos"] is shapes.PROTOS


def test_a_value_names_the_one_field_that_is_set() -> None:
    text = shapes.TypedData(string="hello")
    assert text.WhichOneof("data") == "string"
    assert text.string == "hello"  # type: ignore[attr-defined]  # set by name


def test_a_value_in_two_fields_is_refused() -> None:
    with pytest.raises(ValueError, match="too many values"):
        shapes.TypedData(string="hello", json="{}")


def test_a_parameter_never_comes_by_shared_memory() -> None:
    parameter = shapes.ParameterBinding("upload", shapes.TypedData(string="hello"))
    assert parameter.WhichOneof("rpc_data") == "data"


def test_a_blob_is_passed_by_reference() -> None:
    reference = {"Connection": "Storage", "ContainerName": "inbox", "BlobName": "a.wav"}
    data = shapes.ModelBindingData(json.dumps(reference))
    assert (data.source, data.content_type) == ("AzureStorageBlobs", "application/json")
    assert json.loads(data.content) == reference


def test_outcomes_have_the_numbers_that_the_worker_code_expects() -> None:
    assert (shapes.StatusResult.Failure, shapes.StatusResult.Success) == (0, 1)
    assert shapes.PROTOS.InvocationResponse(invocation_id="1").invocation_id == "1"
