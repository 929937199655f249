"""Point-in-time joins: entity versions joined to impressions as they were known when each impression was served."""
