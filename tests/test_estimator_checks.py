"""scikit-learn's own checks, on every estimator of the package."""

import inspect

import pytest
from sklearn.utils import estimator_checks as checks

import skpopsteer
from tests.instances import ESTIMATORS, expected_failures


def _all_checks():
    for estimator in ESTIMATORS:
        # The generator, not parametrize_with_checks: scikit-learn 1.6 to 1.8 hand
        # pytest an iterator there, which pytest 9 deprecates.
        yield from checks.estimator_checks_generator(
            estimator,
            expected_failed_checks=expected_failures(estimator),
            mark="xfail",
        )


def _name(value):
    if not callable(value) or hasattr(value, "get_params"):
        return type(value).__name__
    return getattr(value, "func", value).__name__


# Labels are no held-out items.
@pytest.mark.filterwarnings("ignore:`y` must have hits")
@pytest.mark.parametrize(("estimator", "check"), list(_all_checks()), ids=_name)
def test_scikit_learn_check(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore:`y` must have hits")
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=_name)
def test_parameters_are_validated_with_scikit_learns_messages(estimator):
    checks.check_param_validation(type(estimator).__name__, estimator)


# These checks mix frames and arrays on purpose, select among noise, and score labels.
@pytest.mark.filterwarnings("ignore:`y` must not overlap `X`")
@pytest.mark.filterwarnings("ignore:`y` must have hits")
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.filterwarnings("ignore:X has feature names")
@pytest.mark.filterwarnings("ignore:No features were selected")
@pytest.mark.parametrize(
    "check",
    [
        checks.check_set_output_transform,
        checks.check_set_output_transform_pandas,
        checks.check_set_output_transform_polars,
        checks.check_global_output_transform_pandas,
        checks.check_transformer_get_feature_names_out,
        checks.check_transformer_get_feature_names_out_pandas,
        checks.check_get_feature_names_out_error,
        checks.check_dataframe_column_names_consistency,
        checks.check_inplace_ensure_writeable,
    ],
    ids=_name,
)
@pytest.mark.parametrize(
    "estimator",
    [e for e in ESTIMATORS if hasattr(e, "transform")],
    ids=_name,
)
def test_check_beyond_the_default_list(estimator, check):
    if getattr(estimator, "sparse_output", False) and "output" in check.__name__:
        pytest.skip("a sparse result cannot become a data frame")
    check(type(estimator).__name__, estimator)


def test_every_public_estimator_is_in_the_table():
    # These hold trained models by definition and refuse fit, so that scikit-learn's
    # checks cannot run; the recommender contract covers them.
    exempt = {
        skpopsteer.ArrayRecommender,
        skpopsteer.CornacRecommender,
        skpopsteer.ElsaRecommender,
        skpopsteer.LensKitRecommender,
        skpopsteer.RecBoleRecommender,
        skpopsteer.RecToolsRecommender,
        skpopsteer.TorchRecommender,
    }
    # It describes a fitted recommender, which it has to be given.
    exempt |= {skpopsteer.NeuronInterpreter}
    # Describers read texts and labels, not rows of numbers.
    exempt |= {
        getattr(skpopsteer.neurons, name)
        for name in skpopsteer.neurons.__all__
        if name.endswith("Describer")
    }
    # It fits on held-out interactions, which the suite has none of; the checks that do
    # not fit stand in tests/steering/test_tuned.py.
    exempt |= {skpopsteer.TunedSteeringCV}
    public = {
        value
        for module in (skpopsteer, skpopsteer.neurons, skpopsteer.rerankers)
        for name in module.__all__
        if inspect.isclass(value := getattr(module, name))
        and hasattr(value, "get_params")
    }
    assert public - exempt == {type(estimator) for estimator in ESTIMATORS}
