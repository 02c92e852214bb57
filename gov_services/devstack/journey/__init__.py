"""The citizen's whole journey, told over HTTP as its parties live it: seventeen steps. It knows no room from inside."""
