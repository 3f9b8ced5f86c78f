"""The HTTP service: it loads exported generators and draws from them. It never imports torch or training."""
