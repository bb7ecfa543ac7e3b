"""The stand-in suite tests itself."""
