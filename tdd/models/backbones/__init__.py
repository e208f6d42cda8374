"""The four video backbones: CSN, CNN-LSTM, CNN-GRU with attention, ViViT."""
