"""The canonical form of every value and identifier that is sent."""

from braze_platform.sync.values.values import canonicalise as canonicalise
