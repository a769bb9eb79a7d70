"""The description of the audio that could not be decoded."""

from transcription.audio.damage import Damage, ends_early


def test_an_undamaged_recording_has_no_description_and_no_gaps() -> None:
    assert Damage().report(10.0, 10.0) == (None, ())
    assert Damage().report(10.0, None) == (None, ())


def test_a_loss_too_short_to_notice_is_not_reported() -> None:
    damage = Damage()
    damage.lose(1.0, 0.05)
    damage.recover()
    assert damage.report(10.0, 10.0) == (None, ())


def test_losses_are_added_up_from_the_first_one() -> None:
    damage = Damage()
    damage.lose(1.0, 0.5)
    damage.lose(1.5, 0.5)
    damage.recover()
    damage.lose(7.0, 0.25)
    damage.recover()
    description, gaps = damage.report(10.0, 10.0)
    assert description == "1.2 s from 1.0 s on could not be decoded"
    assert gaps == ((1.0, 1.25),)


def test_timestamps_decide_how_much_was_lost() -> None:
    damage = Damage()
    damage.lose(1.0, 5000.0)
    damage.recover(pause=2.0)
    assert damage.report(10.0, 10.0) == ("2.0 s from 1.0 s on could not be decoded", ((1.0, 2.0),))


def test_a_loss_without_recovery_lasts_to_the_declared_end() -> None:
    damage = Damage()
    damage.lose(6.0, 0.5)
    assert damage.report(6.0, 10.0) == ("the file is damaged from 6.0 s on", ((6.0, 4.0),))


def test_a_loss_at_an_unknown_end_has_no_duration() -> None:
    damage = Damage()
    damage.lose(6.0, 0.5)
    assert damage.report(6.0, None) == ("the file is damaged from 6.0 s on", ((6.0, 0.0),))


def test_a_stop_is_reported_with_its_reason_from_where_the_losses_began() -> None:
    damage = Damage()
    damage.lose(6.0, 0.0)
    damage.stop(8.0, "the file takes too long")
    assert damage.report(6.0, 10.0) == ("the file takes too long from 6.0 s on", ((6.0, 4.0),))


def test_a_file_shorter_than_it_declares_is_reported() -> None:
    assert Damage().report(6.0, 10.0) == (ends_early(6.0, 10.0), ((6.0, 4.0),))
    assert Damage().report(9.6, 10.0) == (None, ())


def test_a_loss_in_the_middle_and_a_missing_end_are_both_reported() -> None:
    damage = Damage()
    damage.lose(1.0, 0.5)
    damage.recover()
    description, gaps = damage.report(6.0, 10.0)
    assert description == f"0.5 s from 1.0 s on could not be decoded, and {ends_early(6.0, 10.0)}"
    assert gaps == ((1.0, 0.5), (6.0, 4.0))


def test_losses_in_a_row_are_counted_until_decoding_succeeds() -> None:
    damage = Damage()
    damage.lose(1.0, 0.5)
    damage.lose(1.5, 0.5)
    assert (damage.ongoing, damage.losses_in_a_row) == (True, 2)
    damage.recover()
    assert (damage.ongoing, damage.losses_in_a_row) == (False, 0)


def test_the_description_of_a_short_file_has_both_lengths() -> None:
    assert ends_early(1.04, 2.0) == "the file ends at 1.0 s, but declares a length of 2.0 s"
