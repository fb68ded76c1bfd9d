"""Networks that turn an image into a descriptor."""

from retrieval_lib.backbones.base import Backbone, fast_autocast
from retrieval_lib.backbones.cached import cached_features
from retrieval_lib.backbones.efficientnet_lite import EfficientNetLite0
from retrieval_lib.backbones.factory import BACKBONES, load_backbone
from retrieval_lib.backbones.fast_convnet import FastConvNet
from retrieval_lib.backbones.features import Features
from retrieval_lib.backbones.normalisation import STATISTICS, Statistics, channel_statistics, settle_batch_statistics
from retrieval_lib.backbones.pooling import average_pool, gem_pool, max_pool, regional_pool
from retrieval_lib.backbones.resnet import CifarResNet18, SmallResNet
from retrieval_lib.backbones.subset import feature_subset, within
from retrieval_lib.backbones.vgg import SmallVGG

__all__ = [
    "BACKBONES",
    "STATISTICS",
    "Backbone",
    "CifarResNet18",
    "EfficientNetLite0",
    "FastConvNet",
    "Features",
    "SmallResNet",
    "SmallVGG",
    "Statistics",
    "average_pool",
    "cached_features",
    "channel_statistics",
    "fast_autocast",
    "feature_subset",
    "gem_pool",
    "load_backbone",
    "max_pool",
    "regional_pool",
    "settle_batch_statistics",
    "within",
]
