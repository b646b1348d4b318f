"""Commands about models: train, compile, certify, evaluate, and the registry (`cma models`)."""

import json
from dataclasses import asdict
from typing import Annotated, Literal

import typer

from flows.cli.console import Config, JsonFile, flow_config, open_project, out, write_json
from flows.cli.printing import modelling
from schemas.errors import ConfigurationError, UserError

Version = Annotated[str, typer.Argument(help="The model's name, as `cma models` lists it.")]


def train(
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="MODEL",
            help="With --heads: the model to adapt, a version (`cma models`) or the folder of a model of any project.",
        ),
    ] = None,
    heads: Annotated[
        bool, typer.Option("--heads", help="Train heads only, on the features of the model that --from names.")
    ] = False,
    promote: Annotated[bool, typer.Option("--promote", help="Promote the new model even if it is worse.")] = False,
    config: Config = None,
) -> None:
    """Trains a model on the labelled listings and registers it (flow train-cma).

    The first model becomes the champion, which is the model that tags. A later one replaces it if it is not worse on
    the same held-out listings. An interrupted training resumes when it is run again.

    `cma train --from MODEL --heads` adapts a model to another merchant, or to other values of the taxonomy, in seconds
    to minutes: the towers and the sequence-wise attention stay, and what reads them is trained on the features that
    `cma tag` has stored. Only listings without stored features are decoded. Each split needs 50 labels of an attribute,
    some 500 in all.
    """
    if heads != (source is not None):
        raise ConfigurationError(
            "--from MODEL and --heads belong together: only the heads of a trained model can be trained on their own. "
            "To train a whole network, leave out both"
        )
    config = flow_config(config)
    from flows import deployments
    from flows.modelling.promotion import promote as promote_model

    done = deployments.train_cma(config, source)
    modelling.print_trained(out, done)
    if promote and not done.verdict.promoted:
        modelling.print_champion(out, promote_model(open_project(config), done.card.version))


def compile(config: Config = None) -> None:
    """Builds the champion's engine and checks it against the reference (flow compile-engine).

    With tag.engine = "auto", an engine that fails the check is replaced by the next of tensorrt, cuda, openvino, torch.

    The model card is written anew, with the results of the engine that tags.
    """
    config = flow_config(config)
    from flows import deployments

    built = deployments.compile_engine(config)
    modelling.print_engines(out, built)
    if not built[-1].gate.passed:
        raise UserError(
            f'the {built[-1].backend} engine failed its gate and will not be used. Set tag.engine to "auto": then the '
            "best engine that passes tags"
        )


def certify(
    feeds: Annotated[list[str] | None, typer.Argument(help="Names of feeds (default: all).")] = None,
    config: Config = None,
) -> None:
    """Certifies the champion's tags on the labels of feeds, such as one it was not trained on (flow certify-feeds).

    The model card is written anew.
    """
    config = flow_config(config)
    from flows import deployments

    modelling.print_certified(out, deployments.certify_feeds(config, feeds))


def evaluate(
    version: Annotated[
        str | None, typer.Argument(help="A model, as `cma models` lists it (default: the champion).")
    ] = None,
    split: Annotated[
        Literal["test", "calibration", "validation", "train"],
        typer.Option(help="Which listings. Only those of test played no part in making the model."),
    ] = "test",
    feed: Annotated[str | None, typer.Option(help="Only listings of this feed.")] = None,
    values: Annotated[bool, typer.Option("--values", help="Also print a table of values for each attribute.")] = False,
    json_file: JsonFile = None,
    config: Config = None,
) -> None:
    """Measures a model on labelled listings of products that it was not trained on.

    Results are stored in the table evaluations. The whole test split also renews the model card.
    """
    from flows.modelling.evaluate import evaluate_model

    done = evaluate_model(open_project(config), version, split=split, feed=feed)
    modelling.print_evaluation(out, done, values=values)
    write_json(json_file, done.to_dict())


models_app = typer.Typer(help="Lists, shows, promotes and rolls back registered models.")


@models_app.callback(invoke_without_command=True)
def models(context: typer.Context, config: Config = None) -> None:
    """Lists the registered models."""
    context.obj = config
    if context.invoked_subcommand is None:
        modelling.print_models(out, open_project(config).catalog.models())


@models_app.command()
def show(context: typer.Context, version: Version) -> None:
    """Prints a model's origin, configuration, metrics and promotions, as JSON."""

    catalog = open_project(context.obj).catalog
    row = next((row for row in catalog.models() if row.model_version == version), None)
    if row is None:
        raise UserError(f"there is no model {version!r}: `cma models` lists all models")
    promotions = [made._asdict() for made in catalog.promotions() if made.model_version == version]
    print(json.dumps({**asdict(row), "promotions": promotions}, indent=1, default=str, ensure_ascii=False))


@models_app.command()
def promote(
    context: typer.Context,
    version: Version,
    compare: Annotated[
        bool, typer.Option("--compare", help="Only compare it with the champion; change nothing.")
    ] = False,
) -> None:
    """Makes a registered model the champion, which is the model that tags. Its files are checked first."""
    from flows.modelling.promotion import compare_with_champion
    from flows.modelling.promotion import promote as promote_model

    project = open_project(context.obj)
    if compare:
        modelling.print_comparison(out, compare_with_champion(project, version))
    else:
        modelling.print_champion(out, promote_model(project, version))


@models_app.command()
def rollback(context: typer.Context) -> None:
    """Makes the previous champion the champion again. Run twice, it goes two champions back."""
    from flows.modelling.promotion import roll_back

    modelling.print_champion(out, roll_back(open_project(context.obj)))
