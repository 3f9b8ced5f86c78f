"""The served models: directories verified, graphs audited, canaries drawn, versions kept."""
